"""The answers of a sweep as curves over alpha, one for each way to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.benchmarks.base import Measure, degenerate
from hneuro.causal.grid import UNTOUCHED
from hneuro.records import Outcome, Reading, SweepAnswer
from hneuro.result_records import Estimate
from hneuro.significance import mcnemar, signed_rank
from hneuro.statistics import grouped_mean, rate

# Outcome -> value, for the outcomes that say one thing or the other.
COUNTED: Mapping[Measure, Mapping[Outcome, float]] = {
    "compliance": {Outcome.COMPLIES: 1.0, Outcome.RESISTS: 0.0, Outcome.DECLINED: 0.0},
    "accuracy": {Outcome.COMPLIES: 1.0, Outcome.RESISTS: 0.0, Outcome.REFUSED: 0.0},
    "over_refusal": {Outcome.REFUSED: 1.0, Outcome.COMPLIES: 0.0, Outcome.RESISTS: 0.0},
}

# The kinds of answers, whose shares add up to 1; an UNPARSED has the kind that its reason begins with.
UNREAD = ("both", "neither", "cut", "derailed", "unreadable")
KINDS = ("complies", "resists", "declined", "refused", *UNREAD, "unparsed")

Values = NDArray[np.float64]
Test = Callable[[Values, Values, NDArray[np.str_]], float]  # before, after, groups
Value = Callable[[SweepAnswer, Reading], float]


@dataclass(frozen=True)
class AlphaCurve:
    """One reading of one neuron set: values [item, alpha], NaN where an answer has none."""

    metric: str
    alphas: tuple[float, ...]
    values: Values
    groups: NDArray[np.str_]  # [item]: its entity
    test: Test

    @property
    def complete(self) -> NDArray[np.bool_]:
        """[item]: those that have a value at every alpha: all comparisons are made on these."""
        return np.asarray(~np.isnan(self.values).any(axis=1))

    def at(self, alphas: Sequence[float]) -> AlphaCurve:
        places = [self.alphas.index(alpha) for alpha in alphas]
        return AlphaCurve(self.metric, tuple(alphas), self.values[:, places], self.groups, self.test)

    def among(self, items: NDArray[np.bool_]) -> AlphaCurve:
        """Of some of the items."""
        return AlphaCurve(self.metric, self.alphas, self.values[items], self.groups[items], self.test)

    def slopes(self) -> Values:
        """Per unit of alpha, of each complete item, 0 if it never moves; their mean is the slope of the mean."""
        values, centred = self.values[self.complete], np.array(self.alphas) - np.mean(self.alphas)
        return np.asarray((values - values[:, :1]) @ centred / (centred @ centred))

    def slope(self) -> Estimate:
        """The mean slope of the complete items."""
        centred = np.array(self.alphas) - np.mean(self.alphas)
        steepest = float(np.abs(centred).sum() / 2 / (centred @ centred))  # from 0 to 1 in the middle of the alphas
        return grouped_mean(self.slopes(), self.groups[self.complete], within=(-steepest, steepest))

    def column(self, alpha: float) -> Values:
        """At one alpha, of each complete item."""
        return np.asarray(self.values[self.complete][:, self.alphas.index(alpha)])

    def change(self, first: float, last: float) -> tuple[Estimate, float]:
        """From one alpha to another, paired by item, and p."""
        before, after, groups = self.column(first), self.column(last), self.groups[self.complete]
        return grouped_mean(after - before, groups), self.test(before, after, groups)


class SweptAnswers:
    """The answers of one benchmark with their readings; alpha = 1 is listed under every neuron set."""

    def __init__(
        self, answers: Sequence[SweepAnswer], readings: Sequence[Reading], entity_of: Mapping[str, str]
    ) -> None:
        self.items = sorted(item for item in {a.item_id for a in answers})
        self.groups = np.array([entity_of[item] for item in self.items])
        place = {item: n for n, item in enumerate(self.items)}
        self._found: dict[tuple[str, int, float], list[tuple[SweepAnswer, Reading] | None]] = {}
        for answer, reading in zip(answers, readings, strict=True):
            cell = (answer.neuron_set, answer.seed, answer.alpha)
            self._found.setdefault(cell, [None] * len(self.items))[place[answer.item_id]] = (answer, reading)

    @property
    def sets(self) -> list[tuple[str, int]]:
        return list(dict.fromkeys((name, seed) for name, seed, _ in self._found if name != UNTOUCHED))

    def alphas(self, one: tuple[str, int]) -> tuple[float, ...]:
        own = {alpha for name, seed, alpha in self._found if (name, seed) == one}
        return tuple(sorted(own | {alpha for name, _, alpha in self._found if name == UNTOUCHED}))

    def cell(self, one: tuple[str, int], alpha: float) -> list[tuple[SweepAnswer, Reading]]:
        """[item]"""
        found = self._found.get((*one, alpha)) or self._found[UNTOUCHED, 0, alpha]
        return [pair for pair in found if pair is not None]

    def curve(
        self, one: tuple[str, int], metric: str, test: Test, value: Callable[[SweepAnswer, Reading], float]
    ) -> AlphaCurve:
        alphas = self.alphas(one)
        table = [[value(*pair) for pair in self.cell(one, alpha)] for alpha in alphas]
        return AlphaCurve(metric, alphas, np.array(table).T, self.groups, test)


def worth(measures: Measure, unread: float = 0.0) -> Mapping[Outcome, float]:
    """What each outcome counts for where all prompts do but those that test nothing (NaN)."""
    every = dict.fromkeys(Outcome, 0.0)
    return {**every, **COUNTED[measures], Outcome.UNPARSED: unread, Outcome.EXCLUDED: np.nan}


def curve_of(found: SweptAnswers, one: tuple[str, int], measures: Measure, unread: float = 0.0) -> AlphaCurve:
    """What the answers of a set count for; `unread`: what those do that cannot be read."""
    values = worth(measures, unread)
    return found.curve(one, measures, mcnemar, lambda _, reading: values[reading.outcome])


def grade_curve(found: SweptAnswers, one: tuple[str, int], unread: float = 0.0) -> AlphaCurve:
    """How far the answers of a set comply; those without a grade not at all, but for what cannot be read: `unread`.

    NaN where nothing is graded.
    """
    graded = any(reading.grade is not None for alpha in found.alphas(one) for _, reading in found.cell(one, alpha))

    def value(_: SweepAnswer, reading: Reading) -> float:
        if not graded or reading.outcome is Outcome.EXCLUDED:
            return float("nan")
        if reading.grade is None:
            return unread if reading.outcome is Outcome.UNPARSED else 0.0
        return reading.grade

    return found.curve(one, "grade", signed_rank, value)


def complete_curve(found: SweptAnswers, one: tuple[str, int], measures: Measure) -> AlphaCurve:
    """Of the answers that say one thing or the other, the others left out."""
    values = COUNTED[measures]
    return found.curve(one, f"{measures}_complete", mcnemar, lambda _, reading: values.get(reading.outcome, np.nan))


def kinds_of(readings: Iterable[Reading]) -> list[str]:
    """Those that comply and resist, and the other kinds of answers that there are, in their order."""
    found = {Outcome.COMPLIES.value, Outcome.RESISTS.value, *map(kind_of, readings)}
    return [kind for kind in KINDS if kind in found]


def kind_of(reading: Reading) -> str:
    kind = reading.reason.partition(":")[0]
    return kind if reading.outcome is Outcome.UNPARSED and kind in UNREAD else reading.outcome.value


def shares(readings: Sequence[Reading], kinds: Sequence[str]) -> Iterator[tuple[str, Estimate]]:
    """The share of each kind of answer, of the prompts that test anything."""
    found = [kind_of(reading) for reading in readings if reading.outcome is not Outcome.EXCLUDED]
    for kind in kinds:
        yield f"share_{kind}", rate(found.count(kind), len(found))


def rates_apart(answers: Sequence[tuple[SweepAnswer, Reading]]) -> Iterator[tuple[str, Estimate]]:
    """The rates of answers that do not count, or count for little; of the prompts that test anything."""
    tested = [(a, r) for a, r in answers if r.outcome is not Outcome.EXCLUDED]
    for metric, hits in (
        ("unparsed", [r.outcome is Outcome.UNPARSED for _, r in tested]),
        ("refused", [r.outcome in (Outcome.REFUSED, Outcome.DECLINED) for _, r in tested]),
        ("truncated", [a.truncated for a, _ in tested]),
        ("degenerate", [any(map(degenerate, a.replies)) for a, _ in tested]),
    ):
        yield metric, rate(sum(hits), len(hits))
