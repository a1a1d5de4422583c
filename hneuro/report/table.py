"""A table: one frame of numbers (CSV), and as people read it (markdown, LaTeX, the page, the terminal)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from hneuro.disk import write_text
from hneuro.report import wording as say

FORMULA = re.compile(r"[=+@\t\r-]")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
Record = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """A field of the records under its heading; without one it is in the CSV alone."""

    field: str
    head: str = ""
    show: Callable[[Any], str] = say.text
    single: bool = False  # not shown where it says the same in every row
    estimate: bool = False  # a record with value, low and high, which take FIELD, FIELD_low and FIELD_high of the frame
    count: bool = False  # and FIELD_n

    def cells(self, record: Record) -> dict[str, Any]:
        """What it writes into the frame."""
        cell = record.get(self.field)
        if not self.estimate:
            return {self.field: cell}
        ends = ("value", "low", "high", "n") if self.count else ("value", "low", "high")
        names = (self.field, *(f"{self.field}_{end}" for end in ends[1:]))
        return {name: getattr(cell, end, None) for name, end in zip(names, ends, strict=True)}

    def text(self, record: Record) -> str:
        """What people read."""
        cell = record.get(self.field)
        return say.MISSING if cell is None else self.show(cell)


def estimate(field: str, head: str = "", show: Callable[[Any], str] = say.with_interval, count: bool = False) -> Column:
    """A number with its interval."""
    return Column(field=field, head=head, show=show, estimate=True, count=count)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Records under columns. A record with a true "hidden" is in the CSV alone."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    records: tuple[Record, ...]

    def __bool__(self) -> bool:
        return bool(self.records)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """All numbers, a row a record; an empty table has its columns."""
        names = [name for column in self.columns for name in column.cells({})]
        cells = [{k: v for column in self.columns for k, v in column.cells(r).items()} for r in self.records]
        return pd.DataFrame(cells, columns=names)

    @cached_property
    def shown(self) -> pd.DataFrame:
        """Text, without columns in which nothing was measured."""
        rows = [record for record in self.records if not record.get("hidden")]
        cells = {c.head: [c.text(row) for row in rows] for c in self.columns if c.head}
        single = {c.head for c in self.columns if c.single}
        kept = {
            head: column
            for head, column in cells.items()
            if set(column) - {say.MISSING, ""} and not (head in single and len(set(column)) == 1)
        }
        return pd.DataFrame(kept if rows else cells, dtype=str)

    @cached_property
    def text_columns(self) -> tuple[bool, ...]:
        """Which columns of `shown` are names rather than numbers: those whose cells mostly begin with a letter."""
        columns = ([cell for cell in self.shown[head] if cell not in ("", say.MISSING)] for head in self.shown)
        return tuple(2 * sum(cell[0].isalpha() for cell in column) > len(column) for column in columns)


def write(table: Table, folder: Path) -> None:
    """NAME.csv, NAME.md and NAME.tex (booktabs; ready to paste)."""
    text = table.frame.map(_no_formula).to_csv(index=False, lineterminator="\n")
    write_text(folder / f"{table.name}.csv", text)
    write_text(folder / f"{table.name}.md", markdown(table))
    write_text(folder / f"{table.name}.tex", latex(table))


def _no_formula(cell: Any) -> Any:
    """A text that a spreadsheet would compute, as one that it shows."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def markdown(table: Table) -> str:
    shown = table.shown.map(lambda cell: cell.replace("|", "\\|"))
    body = tabulate(shown.values.tolist(), headers=list(shown), tablefmt="pipe", disable_numparse=True)
    return f"{table.caption}\n\n{body}\n"


def latex(table: Table) -> str:
    layout = "".join("l" if text else "r" for text in table.text_columns)
    caption = re.sub(r"([&%$#_{}])", r"\\\1", table.caption)  # pandas escapes cells and heads, not the caption
    text = table.shown.to_latex(
        index=False, escape=True, column_format=layout, caption=caption, label=f"tab:{table.name}", position="t"
    )
    # What the fonts of plain LaTeX have in mathematics alone: < > |, and the minus of a number.
    return re.sub(r"[<>|]|(?<![\w.-])-(?=\d)", r"$\g<0>$", str(text))


def plain_text(table: Table, most: int | None = None) -> str:
    """For the terminal; of more than `most` rows the first, and how many are left."""
    rows: Sequence[list[str]] = table.shown.values.tolist()
    left = len(rows) - (most or len(rows))
    more = f"\n... and {left} more rows in tables/{table.name}.md" if left > 0 else ""
    return str(tabulate(rows[:most], headers=list(table.shown), tablefmt="simple", disable_numparse=True)) + more
