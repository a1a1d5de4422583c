"""Detection: every condition on every data set."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.table import Cell, Record, Table
from hneuro.report.tidy import Tidy
from hneuro.results import ResultRow

SHARES = ("accuracy", "flag_rate", "false_alarms")


def detection_table(tidy: Tidy) -> Table:
    numbers: list[Record] = []
    shown = []
    for dataset in tidy.datasets("detection", "auroc"):
        for condition in tidy.conditions("detection", "auroc"):
            area = tidy.one("detection", "auroc", dataset, condition)
            if area is None:
                continue
            shares = {name: tidy.one("detection", name, dataset, condition) for name in SHARES}
            sets = area.n if "/" in condition else None
            record: Record = {"dataset": dataset, "condition": condition, **numbers_of("auroc", area)}
            for name, row in shares.items():
                record = {**record, **numbers_of(name, row)}
            numbers.append({**record, "n": area.n, "sets": sets, "p_value": area.p_value, "note": area.note})
            shown.append(
                (
                    say.plain(dataset), say.condition_name(condition), say.with_interval(area),
                    *map(say.percent_interval, shares.values()), f"{sets} sets" if sets else str(area.n),
                    say.p_cell(area.p_value),
                )
            )  # fmt: skip
    return Table(
        name="detection",
        caption="Detection of hallucination with 95 % intervals. Controls: mean over their sets. Flagged: answers "
        "about made-up things above the threshold, which is set on the select split; false alarms: faithful ones. "
        "p: share of random sets at least as good as the neurons; in the line of a control, of its own sets.",
        columns=(
            "dataset", "condition", *(f"{name}{end}" for name in ("auroc", *SHARES) for end in ("", "_low", "_high")),
            "n", "sets", "p_value", "note",
        ),
        numbers=tuple(numbers),
        heads=("data set", "condition", "AUROC", "accuracy", "flagged", "false alarms", "n", "p"),
        shown=tuple(shown),
    )  # fmt: skip


def numbers_of(name: str, row: ResultRow | None) -> dict[str, Cell]:
    """The columns NAME, NAME_low and NAME_high."""
    if row is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: row.value, f"{name}_low": row.low, f"{name}_high": row.high}
