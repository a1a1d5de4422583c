"""Detection: every condition on every data set."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.tables.table import Cell, Record, Table
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow

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
        caption="Detection of hallucination with 95 % intervals. Controls: mean and middle 95 % of their sets. "
        "Flagged: answers about made-up things above the threshold, which select has set; false alarms: faithful ones. "
        "p: share of random sets at least as good as the neurons; in the line of a control, of its own sets.",
        columns=(
            "dataset", "condition", *(f"{name}{end}" for name in ("auroc", *SHARES) for end in ("", "_low", "_high")),
            "n", "sets", "p_value", "note",
        ),
        numbers=tuple(numbers),
        heads=("data set", "condition", "AUROC", "accuracy", "flagged", "false alarms", "n", "p"),
        shown=tuple(shown),
    )  # fmt: skip


def sizes_table(tidy: Tidy) -> Table:
    """A row a size of random sets, the neuron sets of the run among them."""
    datasets = tidy.datasets("detection", "auroc_by_size")
    rows = [r for r in tidy.results.rows if (r.stage, r.metric) == ("detection", "auroc_by_size")]
    found = {(int(r.stratum), r.condition, r.dataset): r for r in rows}
    lines = dict.fromkeys(sorted((size, condition) for size, condition, _ in found))
    return Table(
        name="detection_by_size",
        caption="More and more random neurons: AUROC, mean and middle 95 % of the sets of each size, every set with a "
        "detector of its own; the neuron sets of the run with their 95 % intervals.",
        columns=("dataset", "condition", "neurons", "auroc", "auroc_low", "auroc_high", "n"),
        numbers=tuple(
            {"dataset": dataset, "condition": c, "neurons": size, **numbers_of("auroc", row), "n": row.n}
            for (size, c, dataset), row in found.items()
        ),
        heads=("neurons", "which", *map(say.plain, datasets)),
        shown=tuple(
            (str(size), say.condition_name(c), *(say.with_interval(found.get((size, c, d)), 2) for d in datasets))
            for size, c in lines
        ),
    )


def numbers_of(name: str, row: ResultRow | None) -> dict[str, Cell]:
    """The columns NAME, NAME_low and NAME_high."""
    if row is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: row.value, f"{name}_low": row.low, f"{name}_high": row.high}
