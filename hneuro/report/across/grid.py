"""A table of runs: their axes first, then a column for each name; a cell that no run fills is "-"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import Run
from hneuro.report.tables.table import Record, Table
from hneuro.report.wording import MISSING, plain
from hneuro.result_records import ResultRow

FIELDS = ("dataset", "condition", "metric", "seed", "alpha", "value", "low", "high", "n", "p_value")


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row of the grid: what stands in front of it, and its cells by the name of their column."""

    head: tuple[str, ...]
    cells: Mapping[str, str]


def grid(
    name: str,
    caption: str,
    compared: Compared,
    heads: Sequence[str],
    lines: Sequence[Line],
    names: Sequence[str],
    numbers: Iterable[tuple[Run, ResultRow]],
) -> Table:
    """`heads` of what stands in front, `names` of the columns, `numbers` the rows that the cells are made from."""
    return Table(
        name=name,
        caption=caption,
        columns=(*compared.columns, *FIELDS),
        numbers=tuple(record(compared, run, row) for run, row in numbers),
        heads=(*heads, *map(plain, names)),
        shown=tuple((*line.head, *(line.cells.get(column, MISSING) for column in names)) for line in lines),
    )


def value(row: ResultRow | None) -> float | None:
    return None if row is None else row.value


def record(compared: Compared, run: Run, row: ResultRow) -> Record:
    return {**compared.facts(run), **{name: getattr(row, name) for name in FIELDS}}
