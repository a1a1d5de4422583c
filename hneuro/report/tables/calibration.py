"""Calibration: whether the probability is right, and what it is good for, at the prevalence that there is."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.table import Record, Table
from hneuro.report.tidy import Tidy

STAGE = "calibration"
MEASURES = {
    "prevalence": "hallucinated answers",
    "ece": "ECE (0 is best)",
    "brier": "Brier score (0 is best)",
    "brier_skill": "Brier skill (0: the prevalence alone)",
    "auroc": "AUROC",
    "auprc": "AUPRC (the prevalence by chance)",
    "recall_at_1": "recall at 1 % false alarms",
    "recall_at_5": "recall at 5 % false alarms",
    "recall_at_10": "recall at 10 % false alarms",
    "aurc": "AURC (0 is best)",
    "risk_at_coverage": "hallucinated among the safest",
}
ASSUMED = "prevalence_assumed"


def calibration_table(tidy: Tidy) -> Table:
    """A row a measure, a column a detector."""
    rows = [r for r in tidy.results.rows if r.stage == STAGE and r.metric in MEASURES]
    conditions = list(dict.fromkeys(r.condition for r in rows))
    found = {(r.dataset, r.metric, r.stratum, r.condition): r for r in rows}
    numbers: list[Record] = []
    shown = []
    for dataset, metric, stratum in dict.fromkeys(key[:3] for key in found):
        cells = {c: found.get((dataset, metric, stratum, c)) for c in conditions}
        numbers += [
            {
                "dataset": dataset, "measure": metric, "coverage": stratum, "condition": c, **numbers_of("value", row),
                "n": row.n,
            }
            for c, row in cells.items()
            if row is not None
        ]  # fmt: skip
        name = f"{MEASURES[metric]} {stratum}".rstrip()
        n = max(row.n for row in cells.values() if row is not None)
        shown.append((say.plain(dataset), name, str(n), *(say.with_interval(row) for row in cells.values())))
    assumed = next((r for r in tidy.results.rows if (r.stage, r.metric) == (STAGE, ASSUMED)), None)
    return Table(
        name="calibration",
        caption="Calibration on all held-out answers that are right or wrong, none balanced away. Scores are "
        f"made probabilities on the select split (Platt), at its own prevalence, {say.percent_interval(assumed)}. "
        "ECE: ten bins of as many answers. Safest: this share of the answers, of the lowest risk; AURC is the mean "
        "over all shares. 95 % intervals from a bootstrap over entities (prevalence: Wilson).",
        columns=("dataset", "measure", "coverage", "condition", "value", "value_low", "value_high", "n"),
        numbers=tuple(numbers),
        heads=("data set", "measure", "n", *map(say.condition_name, conditions)),
        shown=tuple(shown),
    )
