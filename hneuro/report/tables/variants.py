"""Other ways to suppress the same neurons, and what each costs."""

from __future__ import annotations

from dataclasses import replace

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow


def taken_away(tidy: Tidy, metric: str, benchmark: str, condition: str) -> ResultRow | None:
    """What suppression changes, from alpha 1 to the smallest: the arm up to 1 (all, where 1 is the largest), turned."""
    arm = tidy.one("causal", f"change_to_1_{metric}", benchmark, condition)
    curve = tidy.curve(metric, benchmark, condition, None)
    if arm is None and ("@" in condition or (curve and curve[-1].alpha == 1.0)):
        arm = tidy.one("causal", f"change_{metric}", benchmark, condition)
    if arm is None or arm.low is None or arm.high is None:
        return None
    return replace(arm, value=-arm.value, low=-arm.high, high=-arm.low)


def variants_table(tidy: Tidy) -> Table:
    numbers: list[Record] = []
    shown = []
    for benchmark in tidy.benchmarks:
        for metric in tidy.readings(benchmark):
            for neuron_set in tidy.neuron_sets:
                variants = tidy.variants(neuron_set)
                for condition in (neuron_set, *variants) if variants else ():
                    change = taken_away(tidy, metric, benchmark, condition)
                    if change is None:
                        continue
                    beside = tidy.one("causal", f"minus_plain_{metric}", benchmark, condition)
                    numbers.append(
                        {
                            "benchmark": benchmark, "metric": metric, "condition": condition,
                            **numbers_of("change", change), "n": change.n, "p_value": change.p_value,
                            **numbers_of("minus_plain", beside), "p_minus_plain": beside.p_value if beside else None,
                        }
                    )  # fmt: skip
                    shown.append(
                        (
                            say.plain(benchmark), say.READINGS[metric], say.condition_name(condition),
                            say.points_interval(change, 0), str(change.n), say.p_cell(change.p_value),
                            say.points_interval(beside, 0), say.p_cell(beside.p_value if beside else None),
                        )
                    )  # fmt: skip
    return Table(
        name="variants",
        caption="Ways to suppress the neurons: paired change in percentage points from the untouched model, with 95 % "
        "intervals, and each variant minus scaling by the smallest alpha everywhere, on the same prompts.",
        columns=(
            "benchmark", "metric", "condition", "change", "change_low", "change_high", "n", "p_value", "minus_plain",
            "minus_plain_low", "minus_plain_high", "p_minus_plain",
        ),
        numbers=tuple(numbers),
        heads=("benchmark", "reading", "suppressed", "change", "n", "p", "minus plain", "p (minus plain)"),
        shown=tuple(shown),
    )  # fmt: skip


def perplexity_table(tidy: Tidy) -> Table:
    rows = [row for row in tidy.results.rows if row.metric == "perplexity" and row.alpha is not None]
    alphas = sorted({row.alpha for row in rows if row.alpha is not None})
    shown = []
    for condition in dict.fromkeys(row.condition for row in rows):
        own = {row.alpha: row for row in rows if row.condition == condition}
        cells = (say.with_interval(own.get(alpha), 2) for alpha in alphas)
        shown.append((say.condition_name(condition), *cells, str(max(row.n for row in own.values()))))
    return Table(
        name="perplexity",
        caption="Perplexity of a text at each alpha, with 95 % intervals (bootstrap over its passages).",
        columns=("condition", "alpha", "value", "low", "high", "n"),
        numbers=tuple(
            {"condition": r.condition, "alpha": r.alpha, "value": r.value, "low": r.low, "high": r.high, "n": r.n}
            for r in rows
        ),
        heads=("neurons", *(f"alpha {alpha:g}" for alpha in alphas), "passages"),
        shown=tuple(shown),
    )
