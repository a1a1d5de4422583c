"""From the answers of a sweep to rates, slopes and paired tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.benchmarks.base import Measure
from hneuro.causal.grid import UNTOUCHED
from hneuro.causal.repetition import degenerate
from hneuro.records import Outcome, Reading, SweepAnswer
from hneuro.results import Estimate, ResultRow
from hneuro.statistics import grouped_mean, mcnemar, rate, share_as_far, signed_rank

# Outcome -> value, for the outcomes that count; the others are left out of the rate, and have rates of their own.
COUNTED: Mapping[Measure, Mapping[Outcome, float]] = {
    "compliance": {Outcome.COMPLIES: 1.0, Outcome.RESISTS: 0.0, Outcome.DECLINED: 0.0},
    "accuracy": {Outcome.COMPLIES: 1.0, Outcome.RESISTS: 0.0, Outcome.REFUSED: 0.0},
    "over_refusal": {Outcome.REFUSED: 1.0, Outcome.COMPLIES: 0.0, Outcome.RESISTS: 0.0},
}

# What is tested, and how slopes are set against controls. Rows are stored under it: say here what becomes another.
TESTED = (
    "ends",
    "arms",
    "each alpha against 1",
    "slopes against controls in their own direction",
    "within strata",
    "rounding is no change",
)

Values = NDArray[np.float64]
Test = Callable[[Values, Values], float]
Value = Callable[[SweepAnswer, Reading], float]


@dataclass(frozen=True)
class Curve:
    """One reading of one neuron set: values [item, alpha], NaN where an answer has none."""

    metric: str
    alphas: tuple[float, ...]
    values: Values
    groups: NDArray[np.str_]  # [item]: its entity
    test: Test

    @property
    def complete(self) -> NDArray[np.bool_]:
        """[item]: those that have a value at every alpha: all comparisons are made on these."""
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def at(self, alphas: Sequence[float]) -> Curve:
        places = [self.alphas.index(alpha) for alpha in alphas]
        return Curve(self.metric, tuple(alphas), self.values[:, places], self.groups, self.test)

    def among(self, items: NDArray[np.bool_]) -> Curve:
        """Of some of the items."""
        return Curve(self.metric, self.alphas, self.values[items], self.groups[items], self.test)

    def slopes(self) -> Values:
        """Per unit of alpha, of each complete item, 0 if it never moves; their mean is the slope of the mean."""
        values, centred = self.values[self.complete], np.array(self.alphas) - np.mean(self.alphas)
        return np.asarray((values - values[:, :1]) @ centred / (centred @ centred))

    def change(self, first: float, last: float) -> tuple[Estimate, float]:
        """From one alpha to another, paired by item, and p."""
        before, after = (self.values[self.complete][:, self.alphas.index(alpha)] for alpha in (first, last))
        return grouped_mean(after - before, self.groups[self.complete]), self.test(before, after)


class Answers:
    """The answers of one benchmark with their readings; alpha = 1 stands under every neuron set."""

    def __init__(
        self, answers: Sequence[SweepAnswer], readings: Sequence[Reading], entity_of: Mapping[str, str]
    ) -> None:
        self.items = sorted(item for item in {a.item_id for a in answers})
        self.groups = np.array([entity_of[item] for item in self.items])
        place = {item: n for n, item in enumerate(self.items)}
        self._found: dict[tuple[str, int, float], list[tuple[SweepAnswer, Reading] | None]] = {}
        for answer, reading in zip(answers, readings, strict=True):
            cell = (answer.neuron_set, answer.seed, answer.alpha)
            self._found.setdefault(cell, [None] * len(self.items))[place[answer.item_id]] = (answer, reading)

    @property
    def sets(self) -> list[tuple[str, int]]:
        return list(dict.fromkeys((name, seed) for name, seed, _ in self._found if name != UNTOUCHED))

    def alphas(self, one: tuple[str, int]) -> tuple[float, ...]:
        own = {alpha for name, seed, alpha in self._found if (name, seed) == one}
        return tuple(sorted(own | {alpha for name, _, alpha in self._found if name == UNTOUCHED}))

    def cell(self, one: tuple[str, int], alpha: float) -> list[tuple[SweepAnswer, Reading]]:
        """[item]"""
        found = self._found.get((*one, alpha)) or self._found[UNTOUCHED, 0, alpha]
        return [pair for pair in found if pair is not None]

    def curve(
        self, one: tuple[str, int], metric: str, test: Test, value: Callable[[SweepAnswer, Reading], float]
    ) -> Curve:
        alphas = self.alphas(one)
        table = [[value(*pair) for pair in self.cell(one, alpha)] for alpha in alphas]
        return Curve(metric, alphas, np.array(table).T, self.groups, test)


def effects(
    answers: Sequence[SweepAnswer],
    readings: Sequence[Reading],
    benchmark: str,
    measures: Measure,
    entity_of: Mapping[str, str],
    strata_of: Mapping[str, Collection[str]] | None = None,
) -> tuple[ResultRow, ...]:
    """Result rows for every neuron set of one benchmark. Answers that do not count are left out of rates, and counted.

    Slopes are per unit of alpha; they and the changes from the smallest to the largest alpha are paired by item, with a
    bootstrap over entities. The two arms of a change, from the smallest alpha to 1 and from 1 to the largest, stand
    beside it: what suppression takes away is not what amplification adds. Every alpha is set against 1 too, but not
    those of controls. p: McNemar (exact) for answers, Wilcoxon signed rank for probabilities and grades. Slopes are
    then set against those of the controls, at their alphas, kind by kind; and a variant ("h_neurons@mean") against the
    plain scaling of the same neurons, at the smallest alpha. `strata_of`: the parts that an item belongs to, each of
    which gets rates and a change of its own, but not for controls.
    """
    found = Answers(answers, readings, entity_of)
    rows: list[ResultRow] = []
    curves: dict[tuple[str, int], list[Curve]] = {}
    for one in found.sets:
        curves[one] = list(_curves(found, one, measures))
        measured = [*_rates(found, one, curves[one]), *_trends(curves[one])]
        if "/" not in one[0]:  # forty controls would cost forty times as much, and say little more than their arms
            measured += _against_untouched(curves[one])
            measured += _within(found, curves[one][0], strata_of or {})
        rows += (m.row(benchmark, one) for m in measured)
    rows += (m.row(benchmark, one) for one, m in _against_controls(curves))
    rows += (m.row(benchmark, one) for one, m in _against_plain(curves))
    return tuple(rows)


@dataclass(frozen=True, kw_only=True)
class Measured:
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


def curve_of(found: Answers, one: tuple[str, int], measures: Measure) -> Curve:
    """What the answers of a set count for."""
    values = COUNTED[measures]
    return found.curve(one, measures, mcnemar, lambda _, reading: values.get(reading.outcome, np.nan))


def _curves(found: Answers, one: tuple[str, int], measures: Measure) -> Iterator[Curve]:
    """The readings of a set that have any value: the answers, the probability of complying, the grade."""
    yield curve_of(found, one, measures)
    for metric, value in (
        ("p_comply", lambda answer, _: np.nan if answer.p_comply is None else answer.p_comply),
        ("grade", lambda _, reading: np.nan if reading.grade is None else reading.grade),
    ):
        curve = found.curve(one, metric, signed_rank, value)
        if curve.complete.any():
            yield curve


def _rates(found: Answers, one: tuple[str, int], curves: Sequence[Curve]) -> Iterator[Measured]:
    for place, alpha in enumerate(found.alphas(one)):
        for curve in curves:
            values = curve.values[:, place]
            known = ~np.isnan(values)
            plain = curve.test is mcnemar
            mean = (
                rate(int(values[known].sum()), int(known.sum()))
                if plain
                else grouped_mean(values[known], curve.groups[known])
            )
            yield Measured(metric=curve.metric, alpha=alpha, estimate=mean)
        for metric, estimate in rates_apart(found.cell(one, alpha)):
            yield Measured(metric=metric, alpha=alpha, estimate=estimate)


def rates_apart(answers: Sequence[tuple[SweepAnswer, Reading]]) -> Iterator[tuple[str, Estimate]]:
    """The rates of answers that do not count, or count for little; of the prompts that test anything."""
    tested = [(a, r) for a, r in answers if r.outcome is not Outcome.EXCLUDED]
    for metric, hits in (
        ("unparsed", [r.outcome is Outcome.UNPARSED for _, r in tested]),
        ("refused", [r.outcome in (Outcome.REFUSED, Outcome.DECLINED) for _, r in tested]),
        ("truncated", [a.truncated for a, _ in tested]),
        ("degenerate", [any(map(degenerate, a.replies)) for a, _ in tested]),
    ):
        yield metric, rate(sum(hits), len(hits))


def _trends(curves: Sequence[Curve]) -> Iterator[Measured]:
    for curve in curves:
        if len(curve.alphas) < 2 or not curve.complete.any():
            continue
        slopes = grouped_mean(curve.slopes(), curve.groups[curve.complete])
        yield Measured(metric=f"slope_{curve.metric}", estimate=slopes)
        arms = {f"change_{curve.metric}": (curve.alphas[0], curve.alphas[-1])}
        if 1.0 in curve.alphas[1:-1]:
            arms |= {
                f"change_to_1_{curve.metric}": (curve.alphas[0], 1.0),
                f"change_from_1_{curve.metric}": (1.0, curve.alphas[-1]),
            }
        for name, (first, last) in arms.items():
            change, p = curve.change(first, last)
            yield Measured(metric=name, estimate=change, p=p)


def _against_untouched(curves: Sequence[Curve]) -> Iterator[Measured]:
    """Every other alpha minus 1, on the items that have a value at all of them."""
    for curve in curves:
        for alpha in curve.alphas if 1.0 in curve.alphas and curve.complete.any() else ():
            if alpha != 1.0:
                change, p = curve.change(1.0, alpha)
                yield Measured(metric=f"minus_untouched_{curve.metric}", alpha=alpha, estimate=change, p=p)


def _within(found: Answers, curve: Curve, strata_of: Mapping[str, Collection[str]]) -> Iterator[Measured]:
    """The rates of each part of the items, and its change from the smallest to the largest alpha."""
    every = dict.fromkeys(stratum for item in found.items for stratum in strata_of.get(item, ()))
    for stratum in every:
        part = curve.among(np.array([stratum in strata_of.get(item, ()) for item in found.items]))
        for alpha, values in zip(part.alphas, part.values.T, strict=True):
            known = values[~np.isnan(values)]
            mean = rate(int(known.sum()), len(known))
            yield Measured(metric=f"{curve.metric}_within", alpha=alpha, estimate=mean, stratum=stratum)
        if len(part.alphas) > 1 and part.complete.any():
            change, p = part.change(part.alphas[0], part.alphas[-1])
            yield Measured(metric=f"change_{curve.metric}_within", estimate=change, p=p, stratum=stratum)


def _against_controls(curves: Mapping[tuple[str, int], Sequence[Curve]]) -> Iterator[tuple[tuple[str, int], Measured]]:
    """Each slope at the alphas of its controls; p: that a control's is at least as steep, the same way (with the +1).

    Controls that fall do not explain a rise, however steeply: scaling any neurons enough breaks a model, one way.
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
                at_shared = curve.at(shared)
                slope = grouped_mean(at_shared.slopes(), at_shared.groups[at_shared.complete])
                p = share_as_far(slope.value, [float(c.at(shared).slopes().mean()) for c in like])
                yield one, Measured(metric=f"slope_against_{curve.metric}", estimate=slope, p=p, stratum=kind)


def _against_plain(curves: Mapping[tuple[str, int], Sequence[Curve]]) -> Iterator[tuple[tuple[str, int], Measured]]:
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
            p = curve.test(others[both], values[both])
            yield one, Measured(metric=f"minus_plain_{curve.metric}", estimate=difference, p=p)
