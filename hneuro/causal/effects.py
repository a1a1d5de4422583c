"""From the answers of a sweep to rates, slopes and paired tests."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hneuro.causal.benchmarks.base import Measure
from hneuro.causal.curves import (
    AlphaCurve,
    SweptAnswers,
    complete_curve,
    curve_of,
    grade_curve,
    kinds_of,
    rates_apart,
    shares,
)
from hneuro.records import Reading, SweepAnswer
from hneuro.result_records import Estimate, ResultRow
from hneuro.significance import mcnemar, share_as_far, signed_rank
from hneuro.statistics import grouped_mean, rate


def effects(
    answers: Sequence[SweepAnswer],
    readings: Sequence[Reading],
    benchmark: str,
    measures: Measure,
    entity_of: Mapping[str, str],
    strata_of: Mapping[str, Collection[str]] | None = None,
) -> tuple[ResultRow, ...]:
    """Result rows for every neuron set of one benchmark, over all prompts but EXCLUDED ones.

    What cannot be read does not comply: an intervention that only breaks text raises nothing. How much hangs on that
    is shown by the bounds of a change, ..._low and ..._high: the unread all complied at its beginning and none at its
    end, and the reverse. ..._complete are the rates, slopes and changes of what could be read, at every alpha. The
    kinds of answers have shares of their own.

    Slopes are per unit of alpha; they and the changes from the smallest to the largest alpha are paired by item, with a
    bootstrap over entities. The two arms of a change, from the smallest alpha to 1 and from 1 to the largest, are
    given too: what suppression takes away is not what amplification adds. Every alpha is set against 1 too, but not
    those of controls. p: McNemar for answers, Wilcoxon signed rank for probabilities and grades, both by entity as the
    intervals are. Slopes are
    then set against those of the controls, at their alphas, kind by kind; and a variant ("h_neurons@mean") against the
    plain scaling of the same neurons, at the smallest alpha. `strata_of`: the parts that an item belongs to, each of
    which gets rates and a change of its own, but not for controls.
    """
    found = SweptAnswers(answers, readings, entity_of)
    rows: list[ResultRow] = []
    kinds = kinds_of(readings)
    curves: dict[tuple[str, int], list[AlphaCurve]] = {}
    for one in found.sets:
        curves[one] = list(_curves(found, one, measures))
        measured = [*_rates(found, one, curves[one]), *_trends(curves[one])]
        if measures == "compliance":
            measured += _shares(found, one, kinds)
        if "/" not in one[0]:  # forty controls would cost forty times as much, and say little more than their arms
            measured += _against_untouched(curves[one])
            measured += _if_read(found, one, measures)
            measured += _within(found, curves[one][0], strata_of or {})
        rows += (m.row(benchmark, one) for m in measured)
    rows += (m.row(benchmark, one) for one, m in _against_controls(curves))
    rows += (m.row(benchmark, one) for one, m in _against_plain(curves))
    return tuple(rows)


@dataclass(frozen=True, kw_only=True)
class Effect:
    metric: str
    estimate: Estimate
    alpha: float | None = None
    p: float | None = None
    stratum: str = ""

    def row(self, benchmark: str, one: tuple[str, int]) -> ResultRow:
        condition, seed = one
        return ResultRow.of(
            self.estimate,
            stage="causal",
            metric=self.metric,
            dataset=benchmark,
            condition=condition,
            seed=seed if "/" in condition else None,
            alpha=self.alpha,
            p_value=self.p,
            stratum=self.stratum,
        )


def _curves(found: SweptAnswers, one: tuple[str, int], measures: Measure) -> Iterator[AlphaCurve]:
    """The readings of a set that have any value: the answers, the probability of complying, the grade."""
    yield curve_of(found, one, measures)
    read = found.curve(one, "p_comply", signed_rank, lambda a, _: np.nan if a.p_comply is None else a.p_comply)
    yield from (curve for curve in (read, grade_curve(found, one)) if curve.complete.any())


def _if_read(found: SweptAnswers, one: tuple[str, int], measures: Measure) -> Iterator[Effect]:
    """What hangs on the answers that cannot be read: the complete cases, and both bounds of every change."""
    complete = complete_curve(found, one, measures)
    yield from _means(complete)
    yield from _trends([complete])
    for none, every in (
        [curve_of(found, one, measures, unread) for unread in (0.0, 1.0)],
        [grade_curve(found, one, unread) for unread in (0.0, 1.0)],
    ):
        for name, (first, last) in _arms(none).items():
            for bound, before, after in (("low", every, none), ("high", none, every)):
                change = after.column(last) - before.column(first)
                yield Effect(metric=f"{name}_{bound}", estimate=grouped_mean(change, none.groups[none.complete]))


def _shares(found: SweptAnswers, one: tuple[str, int], kinds: Sequence[str]) -> Iterator[Effect]:
    for alpha in found.alphas(one):
        for metric, share in shares([reading for _, reading in found.cell(one, alpha)], kinds):
            yield Effect(metric=metric, alpha=alpha, estimate=share)


def _rates(found: SweptAnswers, one: tuple[str, int], curves: Sequence[AlphaCurve]) -> Iterator[Effect]:
    for curve in curves:
        yield from _means(curve)
    for alpha in found.alphas(one):
        for metric, estimate in rates_apart(found.cell(one, alpha)):
            yield Effect(metric=metric, alpha=alpha, estimate=estimate)
        mass = np.array([np.nan if a.mass is None else a.mass for a, _ in found.cell(one, alpha)])
        if (known := ~np.isnan(mass)).any():
            mean = grouped_mean(mass[known], found.groups[known], within=(0.0, 1.0))
            yield Effect(metric="mass", alpha=alpha, estimate=mean)


def _means(curve: AlphaCurve) -> Iterator[Effect]:
    """At each alpha, of the items that have a value there."""
    for alpha, values in zip(curve.alphas, curve.values.T, strict=True):
        known = ~np.isnan(values)
        if curve.test is mcnemar:
            mean = rate(int(values[known].sum()), int(known.sum()))
        else:
            mean = grouped_mean(values[known], curve.groups[known], within=(0.0, 1.0))
        yield Effect(metric=curve.metric, alpha=alpha, estimate=mean)


def _trends(curves: Sequence[AlphaCurve]) -> Iterator[Effect]:
    for curve in curves:
        if len(curve.alphas) < 2 or not curve.complete.any():
            continue
        yield Effect(metric=f"slope_{curve.metric}", estimate=curve.slope())
        for name, (first, last) in _arms(curve).items():
            change, p = curve.change(first, last)
            yield Effect(metric=name, estimate=change, p=p)


def _arms(curve: AlphaCurve) -> dict[str, tuple[float, float]]:
    """The whole change and, where 1 is between, the one up to it and the one from there on."""
    arms = {f"change_{curve.metric}": (curve.alphas[0], curve.alphas[-1])}
    if 1.0 in curve.alphas[1:-1]:
        arms[f"change_to_1_{curve.metric}"] = (curve.alphas[0], 1.0)
        arms[f"change_from_1_{curve.metric}"] = (1.0, curve.alphas[-1])
    return arms if len(curve.alphas) > 1 and curve.complete.any() else {}


def _against_untouched(curves: Sequence[AlphaCurve]) -> Iterator[Effect]:
    """Every other alpha minus 1, on the items that have a value at all of them."""
    for curve in curves:
        for alpha in curve.alphas if 1.0 in curve.alphas and curve.complete.any() else ():
            if alpha != 1.0:
                change, p = curve.change(1.0, alpha)
                yield Effect(metric=f"minus_untouched_{curve.metric}", alpha=alpha, estimate=change, p=p)


def _within(found: SweptAnswers, curve: AlphaCurve, strata_of: Mapping[str, Collection[str]]) -> Iterator[Effect]:
    """The rates of each part of the items, and its change from the smallest to the largest alpha."""
    every = dict.fromkeys(stratum for item in found.items for stratum in strata_of.get(item, ()))
    for stratum in every:
        part = curve.among(np.array([stratum in strata_of.get(item, ()) for item in found.items]))
        for alpha, values in zip(part.alphas, part.values.T, strict=True):
            known = values[~np.isnan(values)]
            mean = rate(int(known.sum()), len(known))
            yield Effect(metric=f"{curve.metric}_within", alpha=alpha, estimate=mean, stratum=stratum)
        if len(part.alphas) > 1 and part.complete.any():
            change, p = part.change(part.alphas[0], part.alphas[-1])
            yield Effect(metric=f"change_{curve.metric}_within", estimate=change, p=p, stratum=stratum)


def _against_controls(
    curves: Mapping[tuple[str, int], Sequence[AlphaCurve]],
) -> Iterator[tuple[tuple[str, int], Effect]]:
    """Each slope at the alphas of its controls; p, two-sided: that it is one of them (with the +1).

    Controls that fall do not explain a rise, however steeply: scaling any neurons enough breaks a model, one way. So
    the tails are counted apart, and not distances from their middle.
    """
    for one, own in curves.items():
        kinds = dict.fromkeys(name for name, _ in curves if name.startswith(f"{one[0]}/"))
        for kind in kinds:
            controls = [curve for (name, _), found in curves.items() if name == kind for curve in found]
            for curve in own:
                like = [c for c in controls if c.metric == curve.metric and c.complete.any()]
                shared = [alpha for alpha in curve.alphas if like and all(alpha in c.alphas for c in like)]
                if len(shared) < 2 or not curve.complete.any():
                    continue
                slope = curve.at(shared).slope()
                p = share_as_far(slope.value, [float(c.at(shared).slopes().mean()) for c in like])
                yield one, Effect(metric=f"slope_against_{curve.metric}", estimate=slope, p=p, stratum=kind)


def _against_plain(
    curves: Mapping[tuple[str, int], Sequence[AlphaCurve]],
) -> Iterator[tuple[tuple[str, int], Effect]]:
    """A variant minus the plain scaling, at the smallest alpha, on the items that both have values for."""
    for one, own in curves.items():
        plain, variant, _ = one[0].partition("@")
        for curve in own if variant else ():
            other = next((c for c in curves[plain, 0] if c.metric == curve.metric), None)
            if other is None:
                continue
            values, others = curve.values[:, 0], other.values[:, 0]
            both = ~np.isnan(values) & ~np.isnan(others)
            if not both.any():
                continue
            difference = grouped_mean((values - others)[both], curve.groups[both])
            p = curve.test(others[both], values[both], curve.groups[both])
            yield one, Effect(metric=f"minus_plain_{curve.metric}", estimate=difference, p=p)
