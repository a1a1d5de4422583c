"""Every alpha against the untouched model."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table, without_single
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import corrected


def alphas_table(tidy: Tidy) -> Table:
    """One line an alpha; Holm's correction is over the alphas of one curve."""
    numbers: list[Record] = []
    shown = []
    for benchmark in tidy.benchmarks:
        for metric in tidy.readings(benchmark):
            for condition in (name for one in tidy.neuron_sets for name in (one, *tidy.variants(one))):
                for row, p in corrected(tidy.curve(f"minus_untouched_{metric}", benchmark, condition, None)):
                    numbers.append(
                        {
                            "benchmark": benchmark, "metric": metric, "neuron_set": condition, "alpha": row.alpha,
                            **numbers_of("change", row), "n": row.n, "p_value": row.p_value, "p_holm": p,
                        }
                    )  # fmt: skip
                    shown.append(
                        (
                            say.plain(benchmark), say.READINGS[metric], say.condition_name(condition),
                            f"{row.alpha:g}", say.points_interval(row), str(row.n), say.p_cell(row.p_value),
                            say.p_cell(p),
                        )
                    )  # fmt: skip
    every = ("benchmark", "reading", "neurons", "alpha", "change from alpha 1", "n", "p", "p (Holm)")
    heads, rows = without_single(every, shown, "neurons")
    return Table(
        name="alphas",
        caption="Each alpha against the untouched model, alpha 1: change in percentage points, paired by prompt, with "
        "95 % intervals. p: McNemar, exact (answers), or Wilcoxon (probabilities); Holm's correction is over the "
        "alphas of one reading of one benchmark under one set of neurons.",
        columns=(
            "benchmark", "metric", "neuron_set", "alpha", "change", "change_low", "change_high", "n", "p_value",
            "p_holm",
        ),
        numbers=tuple(numbers),
        heads=heads,
        shown=tuple(rows),
    )  # fmt: skip
