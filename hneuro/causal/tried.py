"""What is replied to one panel of prompts under every condition, and what that avoids and costs, paired by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.grid import UNTOUCHED
from hneuro.records import BenchmarkItem, Outcome, SweepAnswer
from hneuro.result_records import Estimate, ResultRow
from hneuro.significance import mcnemar, signed_rank
from hneuro.statistics import grouped_mean

STAGE = "tuning"
ANSWERED = (Outcome.COMPLIES, Outcome.RESISTS)
Name = tuple[str, int]  # of a condition: what is done, and to which of several sets
BEFORE: Name = (UNTOUCHED, 0)
OWN: Name = ("tuned", 0)
FLAGGED, COVERED = ("threshold", 0), ("threshold_at_coverage", 0)  # replies are withheld, and no other is made likelier


@dataclass(frozen=True, kw_only=True)
class Read:
    """A reply. `wrong`: it gives the planted value, or answers what does not exist."""

    item: BenchmarkItem
    answer: SweepAnswer
    outcome: Outcome
    wrong: bool

    @property
    def group(self) -> str:
        return str(self.item.meta["entity"])


@dataclass(frozen=True)
class Said:
    """The replies to a panel under one condition, in its order."""

    pressed: list[Read] = field(default_factory=list)
    plain: list[Read] = field(default_factory=list)

    @property
    def all(self) -> list[Read]:
        return [*self.pressed, *self.plain]

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """[prompt]"""
        return np.array([read.wrong for read in self.pressed], dtype=bool)

    @property
    def p_wrong(self) -> NDArray[np.float64]:
        """[prompt]: P(wrong) against right, by the continuations; NaN where there are none to compare."""
        return np.array([read.answer.p_comply for read in self.pressed], dtype=np.float64)

    @property
    def unread(self) -> NDArray[np.bool_]:
        """[prompt]: neither wrong nor right nor declined."""
        return np.array([read.outcome is Outcome.UNPARSED for read in self.pressed], dtype=bool)

    @property
    def right(self) -> NDArray[np.bool_]:
        """[fact]"""
        return np.array([read.outcome is Outcome.COMPLIES for read in self.plain], dtype=bool)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """[prompt and fact]: rightly or wrongly."""
        return np.array([read.outcome in ANSWERED for read in self.all], dtype=bool)

    def without(self, withheld: NDArray[np.bool_]) -> Said:
        """Some of all replies [prompt and fact] are not delivered."""
        kept = [
            replace(read, outcome=Outcome.REFUSED, wrong=False) if held else read
            for read, held in zip(self.all, withheld, strict=True)
        ]
        return Said(kept[: len(self.pressed)], kept[len(self.pressed) :])


def outcome_rows(panel: str, found: Mapping[Name, Said]) -> Iterator[ResultRow]:
    """Of every condition: wrong replies avoided, known facts lost, and how much more the tuned gains avoid.

    A reply that cannot be read is not wrong; "wrong_or_unread_avoided" is what is avoided if it were.
    """
    before, own = found[BEFORE], found[OWN]
    groups = np.array([read.group for read in before.pressed])
    facts = np.array([read.group for read in before.plain])
    for name, after in found.items():
        if name == BEFORE:
            yield row(name, panel, "wrong", grouped_mean(before.wrong, groups, within=(0.0, 1.0)))
            continue
        yield _paired(name, panel, "wrong_avoided", after.wrong, before.wrong, groups)
        if name not in (FLAGGED, COVERED):
            yield _likelier(name, panel, "p_wrong_avoided", after.p_wrong, before.p_wrong, groups)
        yield _paired(name, panel, "unread_added", before.unread, after.unread, groups)
        bad, was_bad = after.wrong | after.unread, before.wrong | before.unread
        yield _paired(name, panel, "wrong_or_unread_avoided", bad, was_bad, groups)
        if before.plain:
            yield _paired(name, panel, "known_lost", after.right, before.right, facts)
        if name != OWN:
            yield _paired(name, panel, "tuned_avoids_more", own.wrong, after.wrong, groups)
            yield _paired(name, panel, "tuned_or_unread_avoids_more", own.wrong | own.unread, bad, groups)
            if name not in (FLAGGED, COVERED):
                yield _likelier(name, panel, "p_tuned_avoids_more", own.p_wrong, after.p_wrong, groups)


def _paired(
    name: Name, panel: str, metric: str, less: NDArray[np.bool_], more: NDArray[np.bool_], groups: NDArray[np.str_]
) -> ResultRow:
    change = more.astype(np.float64) - less
    return row(name, panel, metric, grouped_mean(change, groups), mcnemar(less, more, groups))


def _likelier(
    name: Name, panel: str, metric: str, less: NDArray[np.float64], more: NDArray[np.float64], groups: NDArray[np.str_]
) -> ResultRow:
    """Of the prompts whose continuations can be compared."""
    there = ~np.isnan(more - less)
    a, b, of = less[there], more[there], groups[there]
    return row(name, panel, metric, grouped_mean(b - a, of), signed_rank(a, b, of))


def row(name: Name, panel: str, metric: str, estimate: Estimate, p: float | None = None) -> ResultRow:
    seed = name[1] if "/" in name[0] else None
    return ResultRow.of(estimate, stage=STAGE, metric=metric, dataset=panel, condition=name[0], seed=seed, p_value=p)
