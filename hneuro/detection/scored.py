"""Answer rows, what a detector says of them, and the numbers that follow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.records import Rows
from hneuro.result_records import Estimate, ResultRow
from hneuro.statistics import auroc, auroc_difference, rate

NO_REFUSAL = "hardly anything made up was refused, so that there are no faithful answers to compare"


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """The answer rows of one set of questions, and the baseline features [row, baseline] of the same rows.

    `made_up`: the questions are about things that do not exist. Any answer is hallucinated, and refusing is faithful.
    `frequency` [row]: how often the training data speak of what is asked about, NaN where that is not known.
    """

    name: str
    rows: Rows
    baselines: NDArray[np.float64]
    made_up: bool = False
    frequency: NDArray[np.float64] | None = None

    @property
    def counts(self) -> NDArray[np.float64]:
        return np.full(len(self.rows.y), np.nan) if self.frequency is None else self.frequency


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a detector says of each tested set of rows, and the threshold above which it says "hallucinated".

    A score is NaN where what it is made from is not known.
    """

    condition: str
    scores: tuple[NDArray[np.float64], ...]
    threshold: float
    note: str = ""


def measurable(
    scored: Scored, sets: Sequence[AnswerSet]
) -> Iterator[tuple[AnswerSet, NDArray[np.bool_], NDArray[np.float64]]]:
    """Each set of which the detector knows anything, the mask of those rows [row], and their scores."""
    for tested, scores in zip(sets, scored.scores, strict=True):
        known = ~np.isnan(scores)
        if known.any():
            yield tested, known, scores[known]


def shares(
    tested: AnswerSet, flagged: NDArray[np.bool_], known: NDArray[np.bool_] | None = None
) -> dict[str, tuple[int, int]]:
    """(hits, of how many) by metric. `flagged` [known row]: whether an answer lies above the threshold."""
    y = tested.rows.y == 1 if known is None else tested.rows.y[known] == 1
    alarms = (int(flagged[~y].sum()), int((~y).sum()))
    if tested.made_up:
        return {"flag_rate": (int(flagged[y].sum()), int(y.sum())), "false_alarms": alarms}
    return {"accuracy": (int((flagged == y).sum()), len(y)), "false_alarms": alarms}


def measure(scored: Scored, sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    for tested, known, scores in measurable(scored, sets):
        y = tested.rows.y[known]
        note = NO_REFUSAL if tested.made_up and y.all() else scored.note
        area = auroc(y, scores, tested.rows.groups[known])
        yield replace(row_of("auroc", tested.name, scored.condition, area), note=note)
        for metric, (hits, n) in shares(tested, scores > scored.threshold, known).items():
            if n:
                yield row_of(metric, tested.name, scored.condition, rate(hits, n))


def differences(pairs: Sequence[tuple[Scored, Scored]], sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    """AUROC of the first minus that of the second, paired on the same rows."""
    for place, tested in enumerate(sets):
        for one, other in pairs:
            first, second = one.scores[place], other.scores[place]
            known = ~np.isnan(first) & ~np.isnan(second)
            y, groups = tested.rows.y[known], tested.rows.groups[known]
            if len(set(y.tolist())) < 2:
                continue  # the funnel counts them, or the row of its AUROC says why
            found, p = auroc_difference(y, first[known], second[known], groups)
            yield replace(row_of(f"auroc_minus_{other.condition}", tested.name, one.condition, found), p_value=p)


def row_of(metric: str, dataset: str, condition: str, estimate: Estimate) -> ResultRow:
    return ResultRow.of(estimate, stage="detection", metric=metric, dataset=dataset, condition=condition)
