"""Rows of values with intervals, and of control draws as dots: the picture of a value beside its null distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from hneuro.report.figures.style import FAINT, GRID, INK, PAPER, axes, entitle
from hneuro.report.wording import missing
from hneuro.result_records import ResultRow

ROW_HEIGHT, LABELS = 0.27, 1.45  # inches


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One line: a value with its interval, or the draws of a control with their mean, or both."""

    label: str
    colour: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    draws: tuple[float, ...] = ()
    hollow: bool = False
    below: bool = False  # belongs to the row above it


def forest(rows: Sequence[ForestRow], title: str, xlabel: str, chance: float, n: int | None = None) -> Axes:
    """One axes with the first row on top; `chance` is the vertical line of no effect, `n` the count behind the rows."""
    drawn = axes(height=0.75 + ROW_HEIGHT * len(rows), left=LABELS)
    drawn.axvline(chance, color=INK, linewidth=0.8, linestyle=":")
    for place, row in enumerate(rows):
        _row(drawn, row, place)
    drawn.set_yticks(range(len(rows)), [row.label for row in rows])
    for place, (label, row) in enumerate(zip(drawn.get_yticklabels(), rows, strict=True)):
        if row.below:
            label.set(color=FAINT, fontsize=7.5)
        elif place and rows[place - 1].below:
            drawn.axhline(place - 0.5, color=GRID, linewidth=0.8)
    drawn.set_ylim(len(rows) - 0.5, -0.5)
    drawn.tick_params(axis="y", length=0)
    drawn.spines["left"].set_visible(False)
    drawn.grid(visible=False, axis="y")
    drawn.set_xlabel(xlabel)
    entitle(drawn, title)
    if n is not None:
        drawn.set_title(f"n = {n}", loc="right", fontsize=8, color=FAINT)
    return drawn


def _row(drawn: Axes, row: ForestRow, place: int) -> None:
    if row.draws:
        # Spread by rank, not at random: the same picture every time.
        order = np.argsort(np.argsort(row.draws, kind="stable"), kind="stable")
        offset = (order * 0.618034 % 1 - 0.5) * 0.5
        drawn.scatter(row.draws, place + offset, s=9, color=row.colour, alpha=0.7, linewidth=0)
    if row.value is None or missing(row.value):
        return
    if row.draws:
        drawn.plot([row.value] * 2, [place - 0.36, place + 0.36], color=row.colour, linewidth=1.8)
        return
    if row.low is not None and row.high is not None:
        drawn.plot([row.low, row.high], [place, place], color=row.colour, linewidth=1.6, solid_capstyle="butt")
    face = PAPER if row.hollow else row.colour
    drawn.scatter([row.value], [place], s=32, facecolor=face, edgecolor=row.colour, linewidth=1.2, zorder=3)


def of(row: ResultRow, label: str, colour: str, hollow: bool = False) -> ForestRow:
    return ForestRow(label=label, colour=colour, value=row.value, low=row.low, high=row.high, hollow=hollow)
