"""The parts of a benchmark, each on its own: a mean may hide that one part moves and another does not."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table, without_single
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow


def strata_table(tidy: Tidy) -> Table:
    """One line a part under each neuron set; nothing of controls is measured here."""
    rates: dict[tuple[str, str, str, str], dict[float, ResultRow]] = {}
    for row in tidy.results.rows:
        if row.stage == "causal" and row.metric.endswith("_within") and row.alpha is not None:
            key = (row.dataset, row.metric.removesuffix("_within"), row.condition, row.stratum)
            rates.setdefault(key, {})[row.alpha] = row
    alphas = sorted({alpha for found in rates.values() for alpha in found})
    numbers: list[Record] = []
    shown = []
    for (benchmark, metric, condition, stratum), found in rates.items():
        changes = tidy.rows("causal", f"change_{metric}_within", benchmark, condition)
        change = next((row for row in changes if row.stratum == stratum), None)
        p = change.p_value if change else None
        record: Record = {"benchmark": benchmark, "metric": metric, "neuron_set": condition, "part": stratum}
        numbers += [
            {
                **record,
                "alpha": alpha,
                **numbers_of("value", row),
                "n": row.n,
                **numbers_of("change", change),
                "p_value": p,
            }
            for alpha, row in found.items()
        ]
        shown.append(
            (
                say.plain(benchmark), say.plain(stratum), say.READINGS[metric], say.condition_name(condition),
                *(say.percent(found[a].value) if a in found else say.MISSING for a in alphas),
                say.points_interval(change), str(max(row.n for row in found.values())), say.p_cell(p),
            )
        )  # fmt: skip
    every = ("benchmark", "part", "reading", "neurons", *(f"alpha {a:g}" for a in alphas), "change", "n", "p")
    heads, rows = without_single(every, shown, "neurons")
    return Table(
        name="strata",
        caption="The parts of the benchmarks: rates at each alpha, and the change from the lowest to the highest in "
        "points, paired by prompt, with 95 % intervals. p: McNemar, exact, not corrected for the number of parts.",
        columns=(
            "benchmark", "metric", "neuron_set", "part", "alpha", "value", "value_low", "value_high", "n", "change",
            "change_low", "change_high", "p_value",
        ),
        numbers=tuple(numbers),
        heads=heads,
        shown=tuple(rows),
    )  # fmt: skip
