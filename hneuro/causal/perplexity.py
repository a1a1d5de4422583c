"""The cost in perplexity: the texts it is measured on, and the rows that are made from a model's losses on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.grid import Cell
from hneuro.records import UserError
from hneuro.result_records import Estimate, ResultRow
from hneuro.significance import signed_rank
from hneuro.statistics import group_weights

TEXT = "text"


@runtime_checkable
class Text(Protocol):
    """A part of the text config."""

    def passages(self) -> tuple[str, ...]:
        """Pieces of text that are read each on its own; none: perplexity is not measured."""


@dataclass(frozen=True, kw_only=True)
class NoText:
    """Perplexity is not measured."""

    def passages(self) -> tuple[str, ...]:
        return ()


@dataclass(frozen=True, kw_only=True)
class TextFile:
    """A UTF-8 text file; its paragraphs are the passages, the first `count` of at least `fewest` characters."""

    path: str
    count: int = 100
    fewest: int = 200

    def passages(self) -> tuple[str, ...]:
        try:
            text = Path(self.path).expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as fault:
            raise UserError(f"text.path: {self.path} cannot be read as UTF-8 text ({fault})") from fault
        parts = [part.strip() for part in text.split("\n\n")]
        found = tuple(part for part in parts if len(part) >= self.fewest)[: self.count]
        if not found:
            raise UserError(f"text.path: {self.path} has no paragraph of {self.fewest} characters (text.fewest)")
        return found

    def check(self) -> None:
        self.passages()


def perplexity_rows(cells: Sequence[Cell], found: NDArray[np.float32], sets: Sequence[str]) -> tuple[ResultRow, ...]:
    """A row for every cell; alpha = 1 under each of `sets`. Intervals: bootstrap over passages."""
    rows = []
    for cell, table in zip(cells, found, strict=True):
        estimate = perplexity_of(table)
        for name in sets if cell.alpha == 1.0 else (cell.neuron_set,):
            row = ResultRow.of(
                estimate, stage="causal", metric="perplexity", dataset=TEXT, condition=name, alpha=cell.alpha
            )
            rows.append(row)
    return tuple(rows)


def perplexity_of(found: NDArray[np.float32]) -> Estimate:
    """Of one model, whose `losses` are [passage, 2]."""
    return _estimate(*_perplexity(found), len(found))


def perplexity_change(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[Estimate, float]:
    """From one model to another on the same passages, paired by these; p: Wilcoxon signed rank of their mean losses."""
    (value, resampled), (other, others) = _perplexity(before), _perplexity(after)
    means = [table[:, 0] / np.maximum(table[:, 1], 1) for table in (before, after)]
    return _estimate(other - value, others - resampled, len(before)), signed_rank(*means)


def _perplexity(found: NDArray[np.float32]) -> tuple[float, NDArray[np.float64]]:
    """The perplexity, and that of every resample of the passages, which are the same for as many passages."""
    total, count = found.astype(np.float64).T
    weights = group_weights(np.arange(len(found)))
    return float(np.exp(total.sum() / count.sum())), np.exp(total @ weights / (count @ weights))


def _estimate(value: float, resampled: NDArray[np.float64], n: int) -> Estimate:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value=value, low=float(low), high=float(high), n=n)
