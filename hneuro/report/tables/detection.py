"""Detection: every condition on every data set."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.table import Cell, Record, Table
from hneuro.report.tidy import Tidy
from hneuro.results import ResultRow


def detection_table(tidy: Tidy) -> Table:
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets("detection", "auroc"):
        for condition in tidy.conditions("detection", "auroc"):
            area = tidy.one("detection", "auroc", dataset, condition)
            right = tidy.one("detection", "accuracy", dataset, condition)
            if area is None:
                continue
            sets = len(tidy.draws("detection", "auroc", dataset, condition))
            numbers.append(
                {
                    "dataset": dataset, "condition": condition, **numbers_of("auroc", area),
                    **numbers_of("accuracy", right), "n": area.n, "sets": sets or None, "p_value": area.p_value,
                    "note": area.note,
                }
            )  # fmt: skip
            shown.append(
                (
                    say.plain(dataset), say.condition_name(condition), say.with_interval(area),
                    say.percent_interval(right), f"{area.n} sets" if sets else str(area.n), say.p_cell(area.p_value),
                )
            )  # fmt: skip
    return Table(
        name="detection",
        caption="Detection of hallucination with 95 % intervals. Controls: mean over their sets. "
        "p: share of random sets at least as good as the neurons; in the line of a control, of its own sets.",
        columns=(
            "dataset", "condition", "auroc", "auroc_low", "auroc_high", "accuracy", "accuracy_low", "accuracy_high",
            "n", "sets", "p_value", "note",
        ),
        numbers=tuple(numbers),
        heads=("data set", "condition", "AUROC", "accuracy", "n", "p"),
        shown=tuple(shown),
    )  # fmt: skip


def numbers_of(name: str, row: ResultRow | None) -> dict[str, Cell]:
    """The columns NAME, NAME_low and NAME_high."""
    if row is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: row.value, f"{name}_low": row.low, f"{name}_high": row.high}
