"""Causal effects: what scaling changes, against controls; and what the answers are at each alpha."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

from hneuro.report import wording as say
from hneuro.report.causal_verdicts import Arm, Change, every_change
from hneuro.report.compared import Compared
from hneuro.report.table import Record, Table, column, estimate
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
        "their changes, and p that it is one of a kind, two-sided. At least, at most: what answers that cannot be "
        "read make of it.",
        (
            column("benchmark", "benchmark", say.plain), column("metric", "reading", lambda name: say.READINGS[name]),
            column("neuron_set", "neurons", say.condition_name, single=True), column("arm", "alpha", str),
            estimate("change", "change", say.points_interval), column("n", "n"), column("p_value", "p", say.p_cell),
            column("p_holm", "p (Holm)", say.p_cell), column("range", "controls"), column("controls"),
            column("controls_low"), column("controls_high"), column("p_controls"),
            *(column(f"p_{kind}", f"p ({say.plain(kind)})", say.p_cell) for kind in KINDS),
            estimate("slope", "slope", say.points_interval), estimate("matched", "slope, matched", say.points_interval),
            *(column(f"p_slope_{kind}", f"p slope ({say.plain(kind)})", say.p_cell) for kind in KINDS),
            column("bound_low", "at least", say.points), column("bound_high", "at most", say.points),
            estimate("complete"), estimate("minus_plain", "minus plain", say.points_interval),
            column("p_minus_plain", "p (minus plain)", say.p_cell), column("verdict", "verdict"),
        ),
        (
            (run, {**record, "hidden": record.get("hidden") or not (compared.alone or "verdict" in record)})
            for run in compared.runs
            for record in (*_changes(run.tidy), *_alphas(run.tidy), *_parts(run.tidy), *_variants(run.tidy))
        ),
    )  # fmt: skip


def _changes(tidy: Tidy) -> Iterator[Record]:
    for change in every_change(tidy):
        name = {"benchmark": change.benchmark, "metric": change.metric, "neuron_set": change.neuron_set}
        yield {**name, "arm": WHOLE, **_arm(change), **_whole(tidy, change)}
        yield from ({**name, "arm": told, **_arm(arm)} for told, arm in change.arms.items())


def _arm(arm: Arm) -> Record:
    kinds = {control.kind: control for control in arm.kinds}
    low, high = (row.value for row in arm.bounds) if arm.bounds else (None, None)
    return {
        **_tested(arm.found), "p_holm": arm.p_holm, "controls": len(arm.controls),
        "range": say.control_range(arm.controls, 1),
        "controls_low": min(arm.controls, default=None), "controls_high": max(arm.controls, default=None),
        "p_controls": arm.p_controls, **{f"p_{name}": control.p for name, control in kinds.items()},
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


def _tested(row: ResultRow) -> Record:
    return {"change": row, "n": row.n, "p_value": row.p_value}


def _alphas(tidy: Tidy) -> Iterator[Record]:
    """Every alpha against the untouched model; in the CSV alone."""
    for benchmark, metric, condition in _curves(tidy):
        for row, p in corrected(tidy.curve(f"minus_untouched_{metric}", benchmark, condition, None)):
            name = {"benchmark": benchmark, "metric": metric, "neuron_set": condition, "arm": f"1 to {row.alpha:g}"}
            yield {**name, **_tested(row), "p_holm": p, "hidden": True}


def _parts(tidy: Tidy) -> Iterator[Record]:
    for row in tidy.results.rows:
        if row.stage == "causal" and row.metric.startswith("change_") and row.metric.endswith("_within"):
            metric = row.metric.removeprefix("change_").removesuffix("_within")
            name = {"benchmark": row.dataset, "metric": metric, "neuron_set": row.condition}
            yield {**name, "arm": f"{WHOLE}, {say.plain(row.stratum)}", **_tested(row)}


def _variants(tidy: Tidy) -> Iterator[Record]:
    """Other ways to suppress the same neurons, from alpha 1 to the smallest, and minus scaling everywhere."""
    for benchmark, metric, condition in _curves(tidy):
        row = taken_away(tidy, metric, benchmark, condition)
        if row is not None and "@" in condition:
            other = tidy.one("causal", f"minus_plain_{metric}", benchmark, condition)
            name = {"benchmark": benchmark, "metric": metric, "neuron_set": condition, "arm": "1 to lowest"}
            yield {**name, **_tested(row), "minus_plain": other, "p_minus_plain": other and other.p_value}


def taken_away(tidy: Tidy, metric: str, benchmark: str, condition: str) -> ResultRow | None:
    """What suppression by a variant changes, from alpha 1 to the smallest: its arm up to 1, or all, turned."""
    arm = tidy.one("causal", f"change_to_1_{metric}", benchmark, condition)
    arm = arm or tidy.one("causal", f"change_{metric}", benchmark, condition)
    if arm is None or arm.low is None or arm.high is None:
        return None
    return replace(arm, value=-arm.value, low=-arm.high, high=-arm.low)


def _curves(tidy: Tidy) -> Iterator[tuple[str, str, str]]:
    """(benchmark, reading, neuron set or variant)."""
    for benchmark in tidy.benchmarks:
        for metric in tidy.readings(benchmark):
            for neuron_set in tidy.neuron_sets:
                yield from ((benchmark, metric, name) for name in (neuron_set, *tidy.variants(neuron_set)))


def outcomes(compared: Compared) -> Table:
    """A row a rate under a set of neurons, a column an alpha. Of controls the mean; the CSV has each set."""
    alphas = sorted({r.alpha for _, r in compared.rows() if _is_rate(r) and r.alpha is not None})
    return compared.table(
        "outcomes",
        "What the answers are at each alpha, of all prompts, with 95 % intervals; of controls the mean over sets, "
        "whose number is n. Unparsed, refused and degenerate answers do not comply (among known facts they are wrong); "
        "truncated ones were cut at the length limit. Shares of the kinds of answers add up to 1. Framings: the "
        "untouched model on the select part, of which the one nearest to 50 % is used.",
        (
            column("benchmark", "benchmark", say.plain), column("part", "part", say.plain),
            column("metric", "rate", _reading), column("neuron_set", "neurons", say.condition_name), column("seed"),
            *(estimate(f"alpha {alpha:g}", f"alpha {alpha:g}", say.by_metric) for alpha in alphas), column("n", "n"),
            column("note", "remark"),
        ),
        ((run, record) for run in compared.runs for record in _outcomes(run.tidy)),
    )  # fmt: skip


def _reading(metric: str) -> str:
    name = metric.removesuffix("_within").removeprefix("share_")
    return say.READINGS.get(name, say.plain(name))


def _is_rate(row: ResultRow) -> bool:
    name = row.metric.removesuffix("_within")
    known = name in (*say.READINGS, *say.APART, "perplexity") or name.startswith("share_")
    return row.alpha is not None and row.stage in ("causal", "framing") and known


def _outcomes(tidy: Tidy) -> Iterator[Record]:
    curves: dict[tuple[str, str, str, str, int | None], list[ResultRow]] = {}
    for row in tidy.results.rows:
        if _is_rate(row):
            curves.setdefault((row.dataset, row.stratum, row.metric, row.condition, row.seed), []).append(row)
    means: dict[tuple[str, str, str, str], list[list[ResultRow]]] = {}
    for (dataset, part, metric, condition, seed), rows in curves.items():
        framing = {"neuron_set": f"framing: {condition}"} if rows[0].stage == "framing" else {"neuron_set": condition}
        yield {
            "benchmark": dataset, "part": part, "metric": metric, **framing, "seed": seed, "hidden": "/" in condition,
            **{f"alpha {row.alpha:g}": row for row in rows}, "n": max(row.n for row in rows),
            "note": rows[0].note.partition(";")[0],
        }  # fmt: skip
        if "/" in condition and metric in say.READINGS:
            means.setdefault((dataset, part, metric, condition), []).append(rows)
    for (dataset, part, metric, condition), sets in means.items():
        at: dict[float, list[ResultRow]] = {}
        for row in (row for rows in sets for row in rows if not say.missing(row.value)):
            at.setdefault(row.alpha or 0.0, []).append(row)
        mean = {a: replace(r[0], value=fmean(x.value for x in r), low=None, high=None) for a, r in sorted(at.items())}
        name = {"benchmark": dataset, "part": part, "metric": metric, "neuron_set": condition, "n": len(sets)}
        yield {**name, **{f"alpha {alpha:g}": row for alpha, row in mean.items()}, "note": "mean over sets"}
