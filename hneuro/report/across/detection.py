"""Detection over runs: models by data sets, and what was found on one set tested on the others."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import Run
from hneuro.report.across.grid import Line, grid, value
from hneuro.report.tables.table import Table
from hneuro.result_records import ResultRow

CONDITIONS = ("h_neurons", "h_neurons/random", "logprob")
METRICS = {"accuracy": "Accuracy", "auroc": "AUROC", "flag_rate": "Flagged answers about made-up things: the rate"}
HOME = "*"


def detection_table(compared: Compared, metric: str) -> Table:
    """Rows: runs, each with its H-Neurons, the mean of the random sets and what needs no look inside."""
    names = compared.names("detection", metric)
    lines, numbers = [], []
    for run in compared.runs:
        for condition in CONDITIONS:
            found = {row.dataset: row for row in _rows(run, metric, condition, names)}
            if found or condition == "h_neurons":
                unit = "sets" if "/" in condition else ""
                cells = {name: shown(row, metric, unit) for name, row in found.items()}
                lines.append(Line(head=(*compared.cells(run), say.condition_name(condition)), cells=cells))
                numbers += [(run, row) for row in found.values()]
    return grid(
        f"detection_{metric}",
        f"{METRICS[metric]} of detection on held-out questions, with 95 % intervals and n. Random neurons: mean of as "
        "many sets as stand behind it, each of as many neurons with a detector of its own.",
        compared, (*compared.heads(), "neurons"), lines, names, numbers,
    )  # fmt: skip


def transfer_table(compared: Compared) -> Table:
    """What was found on x, tested on y. Empty where all runs found their neurons on the same set."""
    names = compared.names("detection", "auroc")
    lines, numbers = [], []
    if "found on" in compared.axes:
        for run in compared.runs:
            cells = {}
            for row in _rows(run, "auroc", "h_neurons", names):
                random = run.tidy.one("detection", "auroc", row.dataset, "h_neurons/random")
                home = HOME if row.dataset == run.tidy.in_domain else ""
                cells[row.dataset] = f"{say.with_interval(row, 2)}{home} ({say.number(value(random), 2)})"
                numbers += [(run, row), *([(run, random)] if random else [])]
            lines.append(Line(head=compared.cells(run), cells=cells))
    return grid(
        "transfer",
        f"Transfer: AUROC of H-Neurons found on one data set (rows) and tested on others (columns); {HOME} on held-out "
        "questions of the set itself. In parentheses the mean of random sets.",
        compared, compared.heads(), lines, names, numbers,
    )  # fmt: skip


def shown(row: ResultRow, metric: str, unit: str = "") -> str:
    """ "78.4 % [74.0, 82.3], n = 400", or "61.7 % [60.1, 63.3], 20 sets"."""
    rate = say.percent_interval(row) if metric != "auroc" else say.with_interval(row, 2)
    return f"{rate}, {row.n} {unit}" if unit else f"{rate}, n = {row.n}"


def _rows(run: Run, metric: str, condition: str, names: list[str]) -> Iterator[ResultRow]:
    for name in names:
        row = run.tidy.one("detection", metric, name, condition)
        if row is not None and not say.missing(row.value):
            yield row
