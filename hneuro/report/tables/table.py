"""A table of the report: as numbers (CSV), and as people read it (markdown, LaTeX, the page, the terminal)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from hneuro.disk import write_text
from hneuro.report.wording import MISSING

FORMULA = re.compile(r"[=+@\t\r-]")
NUMBER = re.compile(r"[+-]?[\d.]+(e[+-]?\d+)?")
Cell = str | float | int | None
Record = Mapping[str, Cell]


@dataclass(frozen=True, kw_only=True)
class Table:
    """`numbers`: one record a row with plain columns. `shown`: the same findings as formatted text, perhaps wider."""

    name: str
    caption: str
    columns: tuple[str, ...]  # of `numbers`, so that an empty table has its header
    numbers: tuple[Record, ...]
    heads: tuple[str, ...]  # of `shown`
    shown: tuple[tuple[str, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.shown)

    @property
    def text_columns(self) -> tuple[bool, ...]:
        """Which columns of `shown` are names rather than numbers: those whose cells mostly begin with a letter."""
        cells = [
            [row[place] for row in self.shown if row[place] not in ("", MISSING)] for place in range(len(self.heads))
        ]
        return tuple(2 * sum(cell[0].isalpha() for cell in column) > len(column) for column in cells)


Rows = Sequence[tuple[str, ...]]


def without_single(heads: tuple[str, ...], rows: Rows, name: str) -> tuple[tuple[str, ...], Rows]:
    """The same columns without `name` where it says the same in every row."""
    place = heads.index(name)
    if len({row[place] for row in rows}) > 1:
        return heads, rows
    return heads[:place] + heads[place + 1 :], [row[:place] + row[place + 1 :] for row in rows]


def write(table: Table, folder: Path) -> None:
    """NAME.csv, NAME.md and NAME.tex (booktabs; ready to paste)."""
    frame = pd.DataFrame([dict(r) for r in table.numbers], columns=list(table.columns))
    write_text(folder / f"{table.name}.csv", frame.map(_no_formula).to_csv(index=False, lineterminator="\n"))
    write_text(folder / f"{table.name}.md", markdown(table))
    write_text(folder / f"{table.name}.tex", latex(table))


def _no_formula(cell: Cell) -> Cell:
    """A text that a spreadsheet would compute, as one that it shows."""
    return f"'{cell}" if isinstance(cell, str) and FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell


def markdown(table: Table) -> str:
    rows = [[cell.replace("|", "\\|") for cell in row] for row in table.shown]
    body = tabulate(rows, headers=list(table.heads), tablefmt="pipe", disable_numparse=True)
    return f"{table.caption}\n\n{body}\n"


def latex(table: Table) -> str:
    layout = "".join("l" if text else "r" for text in table.text_columns) if table else "l" * len(table.heads)
    frame = pd.DataFrame(list(table.shown), columns=list(table.heads))
    return str(
        frame.to_latex(
            index=False,
            escape=True,
            column_format=layout,
            caption=_escaped(table.caption),
            label=f"tab:{table.name}",
            position="t",
        )
    )


def _escaped(text: str) -> str:
    """pandas escapes cells and heads, not the caption."""
    for character in "&%$#_{}":
        text = text.replace(character, "\\" + character)
    return text


def plain_text(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """For the terminal."""
    return str(tabulate([list(r) for r in rows], headers=list(heads), tablefmt="simple", disable_numparse=True))
