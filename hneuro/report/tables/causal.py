"""Causal effects: what scaling changes, against controls; and what the answers are at each alpha."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean

from hneuro.report import wording as say
from hneuro.report.causal_verdicts import Change, every_change
from hneuro.report.compared import Compared
from hneuro.report.table import Column, Record, Table, estimate
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import corrected
from hneuro.result_records import ResultRow

KINDS = ("random", "layer_matched", "contribution_matched", "norm_matched")
WHOLE = "lowest to highest"


def effects(compared: Compared) -> Table:
    """A row a change: whole, its two arms, each alpha against 1, parts of the benchmark, other ways to suppress."""
    return compared.table(
        "effects",
        "Changes in percentage points, paired by prompt, with 95 % intervals: from the lowest to the highest alpha, "
        "and its arms; slopes are per unit of alpha, the second at the controls' alphas. p: McNemar (answers) or "
        "Wilcoxon (probabilities), by entity; Holm over all changes and arms of the run. Controls: the range of "
        "their changes, and two-sided p among each kind. At least, at most: bounds on the change, whatever the "
        "unreadable answers say.",
        (
            Column("benchmark", "benchmark", say.plain), Column("metric", "reading", lambda name: say.READINGS[name]),
            Column("neuron_set", "neurons", say.condition_name, single=True), Column("arm", "alpha", str),
            estimate("change", "change", say.points_interval), Column("n", "n"), Column("p_value", "p", say.p_cell),
            Column("p_holm", "p (Holm)", say.p_cell), Column("range", "controls"), Column("controls"),
            Column("controls_low"), Column("controls_high"), Column("p_controls"),
            *(Column(f"p_{kind}", f"p ({say.plain(kind)})", say.p_cell) for kind in KINDS),
            estimate("slope", "slope", say.points_interval), estimate("matched", "slope, matched", say.points_interval),
            *(Column(f"p_slope_{kind}", f"p slope ({say.plain(kind)})", say.p_cell) for kind in KINDS),
            Column("bound_low", "at least", say.points), Column("bound_high", "at most", say.points),
            estimate("complete"), estimate("minus_plain", "minus plain", say.points_interval),
            Column("p_minus_plain", "p (minus plain)", say.p_cell), Column("verdict", "verdict"),
        ),
        lambda run: (
            {**record, "hidden": record.get("hidden") or not (compared.alone or "verdict" in record)}
            for of in (_changes, _alphas, _parts, _variants)
            for record in of(run.tidy)
        ),
    )  # fmt: skip


def _changes(tidy: Tidy) -> Iterator[Record]:
    for change in every_change(tidy):
        yield {**_arm(change, WHOLE), **_whole(tidy, change)}
        yield from (_arm(arm, told) for told, arm in change.arms.items())


def _arm(arm: Change, told: str) -> Record:
    low, high = (row.value for row in arm.bounds) if arm.bounds else (None, None)
    return {
        **_tested(arm.found, arm.metric, told), "p_holm": arm.p_holm, "controls": len(arm.controls),
        "range": say.control_range(arm.controls, 1),
        "controls_low": min(arm.controls, default=None), "controls_high": max(arm.controls, default=None),
        "p_controls": arm.p_controls, **{f"p_{control.kind}": control.p for control in arm.kinds},
        "bound_low": low, "bound_high": high, "verdict": arm.says,
    }  # fmt: skip


def _whole(tidy: Tidy, change: Change) -> Record:
    """The slope, and that at the alphas of the controls with its p among each kind."""
    place = (change.benchmark, change.neuron_set)
    against = {r.stratum.rpartition("/")[2]: r for r in tidy.rows("causal", f"slope_against_{change.metric}", *place)}
    return {
        "slope": tidy.one("causal", f"slope_{change.metric}", *place), "matched": next(iter(against.values()), None),
        "complete": tidy.one("causal", f"change_{change.metric}_complete", *place),
        **{f"p_slope_{kind}": row.p_value for kind, row in against.items()},
    }  # fmt: skip


def _tested(row: ResultRow, reading: str, arm: str) -> Record:
    name = {"benchmark": row.dataset, "metric": reading, "neuron_set": row.condition, "arm": arm}
    return {**name, "change": row, "n": row.n, "p_value": row.p_value}


def _alphas(tidy: Tidy) -> Iterator[Record]:
    """Every alpha against the untouched model; in the CSV alone."""
    for benchmark, metric, condition in _curves(tidy):
        for row, p in corrected(tidy.curve(f"minus_untouched_{metric}", benchmark, condition, None)):
            yield {**_tested(row, metric, f"1 to {row.alpha:g}"), "p_holm": p, "hidden": True}


def _parts(tidy: Tidy) -> Iterator[Record]:
    for row in tidy.results.rows:
        if row.stage == "causal" and row.metric.startswith("change_") and row.metric.endswith("_within"):
            metric = row.metric.removeprefix("change_").removesuffix("_within")
            yield _tested(row, metric, f"{WHOLE}, {say.plain(row.stratum)}")


def _variants(tidy: Tidy) -> Iterator[Record]:
    """Other ways to suppress the same neurons, from alpha 1 to the smallest, and minus scaling everywhere."""
    for benchmark, metric, condition in _curves(tidy):
        place = (benchmark, condition)
        arm = tidy.one("causal", f"change_to_1_{metric}", *place) or tidy.one("causal", f"change_{metric}", *place)
        if "@" in condition and arm is not None and arm.low is not None and arm.high is not None:
            turned = replace(arm, value=-arm.value, low=-arm.high, high=-arm.low)
            other = tidy.one("causal", f"minus_plain_{metric}", *place)
            more = {"minus_plain": other, "p_minus_plain": other and other.p_value}
            yield {**_tested(turned, metric, "1 to lowest"), **more}


def _curves(tidy: Tidy) -> Iterator[tuple[str, str, str]]:
    """(benchmark, reading, neuron set or variant)."""
    names = [name for neuron_set in tidy.neuron_sets for name in (neuron_set, *tidy.variants(neuron_set))]
    for benchmark in tidy.benchmarks:
        yield from product([benchmark], tidy.readings(benchmark), names)


def outcomes(compared: Compared) -> Table:
    """A row a rate under a set of neurons, a column an alpha. Of controls the mean."""
    alphas = sorted({r.alpha for _, r in compared.rows() if _is_rate(r) and r.alpha is not None})
    return compared.table(
        "outcomes",
        "Rates over all prompts at each alpha, with 95 % intervals; for controls the mean over their n sets. "
        "Unparsed, refused and degenerate answers do not comply (among known facts they are wrong); "
        "truncated ones were cut at the length limit. Shares of the kinds of answers add up to 1. Framings: the "
        "untouched model on the select part; the one nearest to 50 % is used.",
        (
            Column("benchmark", "benchmark", say.plain), Column("part", "part", say.plain),
            Column("metric", "rate", _reading), Column("neuron_set", "neurons", say.condition_name),
            *(estimate(f"alpha {alpha:g}", f"alpha {alpha:g}", say.by_metric) for alpha in alphas), Column("n", "n"),
            Column("note", "remark"),
        ),
        lambda run: _outcomes(run.tidy),
    )  # fmt: skip


def _reading(metric: str) -> str:
    name = metric.removesuffix("_within").removeprefix("share_")
    return say.READINGS.get(name, say.plain(name))


def _is_rate(row: ResultRow) -> bool:
    name = row.metric.removesuffix("_within")
    known = name in (*say.READINGS, *say.APART, "perplexity") or name.startswith("share_")
    return row.alpha is not None and row.stage in ("causal", "framing") and known


def _outcomes(tidy: Tidy) -> Iterator[Record]:
    curves: dict[tuple[str, ...], dict[float, list[ResultRow]]] = {}
    for row in filter(_is_rate, tidy.results.rows):
        if row.metric in say.READINGS or "/" not in row.condition:
            place = (row.stage, row.dataset, row.stratum, row.metric, row.condition)
            curves.setdefault(place, {}).setdefault(row.alpha or 0.0, []).append(row)
    for (stage, dataset, part, metric, condition), at in curves.items():
        rows = [row for sets in at.values() for row in sets]
        seeds = {row.seed for row in rows}
        yield {
            "benchmark": dataset, "part": part, "metric": metric,
            "neuron_set": f"framing: {condition}" if stage == "framing" else condition,
            **{f"alpha {alpha:g}": _mean(sets) if "/" in condition else sets[0] for alpha, sets in sorted(at.items())},
            "n": len(seeds) if "/" in condition else max(row.n for row in rows),
            "note": "mean over sets" if "/" in condition else rows[0].note.partition(";")[0],
        }  # fmt: skip


def _mean(sets: Sequence[ResultRow]) -> ResultRow | None:
    known = [row.value for row in sets if not say.missing(row.value)]
    return replace(sets[0], value=fmean(known), low=None, high=None) if known else None
