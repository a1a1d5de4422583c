"""Origin over runs: backward transfer and parameter drift."""

from __future__ import annotations

from hneuro.report import wording as say
from hneuro.report.across.compared import Compared
from hneuro.report.across.grid import Line, grid, value
from hneuro.report.tables.table import Table
from hneuro.result_records import ResultRow

DRIFT = "drift rank"


def origin_table(compared: Compared) -> Table:
    """AUROC of the chat model's detector on the base model, and the mean drift rank of the H-Neurons."""
    names = compared.names("origin", "auroc")
    lines, numbers = [], []
    for run in compared.runs:
        cells = {}
        for name in names:
            row = run.tidy.one("origin", "auroc", name, "h_neurons")
            random = run.tidy.one("origin", "auroc", name, "h_neurons/random")
            if row is not None and not say.missing(row.value):
                cells[name] = f"{say.with_interval(row, 2)}, n = {row.n} ({say.number(value(random), 2)})"
                numbers += [(run, row), *([(run, random)] if random else [])]
        drift = run.tidy.one("origin", "drift_rank", "parameters", "h_neurons")
        if drift is not None and not say.missing(drift.value):
            cells[DRIFT] = _drift(drift)
            numbers.append((run, drift))
        if cells:
            lines.append(Line(head=compared.cells(run), cells=cells))
    return grid(
        "origin",
        "Origin: AUROC of the chat model's detector, unchanged, on the base model, with 95 % intervals and n (in "
        "parentheses the mean of random sets); mean drift rank of the H-Neurons from base to chat, 0 = changed most, "
        "1 = changed least.",
        compared, compared.heads(), lines, (*names, DRIFT), numbers,
    )  # fmt: skip


def _drift(row: ResultRow) -> str:
    return f"{say.with_interval(row, 2)}, n = {row.n}, {say.p_text(row.p_value)}"
