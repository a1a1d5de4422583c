"""Answer rows, what detectors and baselines say of them, their strata, and the numbers that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hneuro.neurons import ProbeRows
from hneuro.records import AnswerSpan, LabelledResponse, Response
from hneuro.result_records import Estimate, ResultRow
from hneuro.statistics import auroc, auroc_difference, rate

NO_REFUSAL = "hardly anything made up was refused, so that there are no faithful answers to compare"
BASELINES = ("logprob", "entropy", "length")  # what everyone has without looking inside
FEW = 4  # distinct lengths that are strata of their own
PARTS = 3
STRATA = 10  # of equal log-probability, frequency or risk


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """The answer rows of one set of questions, and the baseline features [row, baseline] of the same rows.

    `made_up`: the questions are about things that do not exist. Any answer is hallucinated, and refusing is faithful.
    `frequency` [row]: how often the training data speak of what is asked about, NaN where that is not known.
    """

    name: str
    rows: ProbeRows
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


def baseline_features(
    labelled: Sequence[LabelledResponse],
    responses: Mapping[tuple[str, int], Response],
    spans: Mapping[tuple[str, int], AnswerSpan],
) -> NDArray[np.float64]:
    """[row, baseline]: mean log-probability and mean entropy of the answer tokens in nats, and their number.

    NaN where the engine that sampled the response gave none.
    """
    features = np.empty((len(labelled), len(BASELINES)))
    for row, item in enumerate(labelled):
        response, span = responses[item.question_id, item.sample], spans[item.question_id, item.sample]
        tokens = list(span.tokens)
        features[row] = (
            fmean([response.logprobs[n] for n in tokens]) if response.logprobs else np.nan,
            fmean([response.entropies[n] for n in tokens]) if response.entropies else np.nan,
            len(tokens),
        )
    return features


def length_strata(lengths: ArrayLike) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The stratum of each row, and the names of the strata from short to long: "1 token", "2 to 4 tokens".

    Every length is a stratum where there are few of them. Otherwise there are three, of about as many rows as ties
    allow: answers of one length are never parted.
    """
    each, member, count = np.unique(np.asarray(lengths, dtype=int), return_inverse=True, return_counts=True)
    part = np.arange(len(each))
    if len(each) > FEW:
        middle = (np.cumsum(count) - count / 2) / count.sum()  # mid-rank of each length
        _, part = np.unique((PARTS * middle).astype(int), return_inverse=True)
    names = []
    for place in range(part.max() + 1):
        shortest, longest = each[part == place].min(), each[part == place].max()
        span = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        names.append(f"{span} token" if longest == 1 else f"{span} tokens")
    return part[member], tuple(names)


def equal_parts(values: NDArray[np.float64], parts: int = STRATA) -> NDArray[np.intp]:
    """The part [row] of each value, of as many rows as ties allow: equal values are never parted."""
    _, member, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - count / 2) / count.sum()
    return np.asarray((parts * middle).astype(np.intp)[member])
