"""How far several judges agree, on what they do not, and what is said most often that is not judged correct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np

from hneuro.records import Judgement, Question, Response, Verdict
from hneuro.result_records import Agreement, Disagreement, FrequentText
from hneuro.statistics import rate

Judged = tuple[Question, Response, Judgement]
SAID = (Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED)
SHOWN = 5  # of the most frequent texts of a verdict


def agreements(judged: Sequence[Judged]) -> tuple[Agreement, ...]:
    """For each two judges who were asked about the same responses.

    Equal responses to one question count once: the tenth "Paris" tells no more about a judge than the first.
    """
    from sklearn.metrics import cohen_kappa_score

    tables: dict[tuple[str, str], list[tuple[Verdict, Verdict]]] = {}
    for _, _, judgement in _distinct(judged):
        for one, other in combinations(judgement.votes, 2):
            tables.setdefault((one.judge, other.judge), []).append((one.verdict, other.verdict))
    found = []
    for (first, second), pairs in tables.items():
        said = [(one, other) for one, other in pairs if Verdict.UNJUDGED not in (one, other)]
        if not said:
            continue
        equal = sum(one is other for one, other in said)
        several = len({verdict for pair in said for verdict in pair}) > 1  # else chance alone would agree, too
        columns = ([verdict.value for verdict in column] for column in zip(*said, strict=True))
        kappa = float(cohen_kappa_score(*columns)) if several else None
        found.append(
            Agreement(
                first=first,
                second=second,
                agree=rate(equal, len(said)),
                kappa=None if kappa is None or np.isnan(kappa) else kappa,
                unsaid=len(pairs) - len(said),
                confusion=tuple(tuple(pairs.count((one, other)) for other in SAID) for one in SAID),
            )
        )
    return tuple(found)


def disagreements(judged: Sequence[Judged]) -> tuple[Disagreement, ...]:
    """The responses of which those judges who can say anything do not all say the same, each distinct one once."""
    counts = Counter(_mark(question, response) for question, response, judgement in judged if judgement.votes)
    return tuple(
        Disagreement(
            dataset=question.dataset,
            question_id=question.id,
            question=question.text,
            gold=question.answers,
            response=response.text,
            count=counts[_mark(question, response)],
            verdict=judgement.verdict,
            votes=judgement.votes,
        )
        for question, response, judgement in _distinct(judged)
        if len({vote.verdict for vote in judgement.votes} - {Verdict.UNJUDGED}) > 1
    )


def frequent_texts(judged: Iterable[Judged]) -> tuple[FrequentText, ...]:
    """The commonest wrong, refusing and unjudged texts in turn: a phrase that a rule misses is seen there."""
    counts = {kind: Counter[str]() for kind in SAID[1:]}
    for _, response, judgement in judged:
        if judgement.verdict in counts:
            counts[judgement.verdict][" ".join(response.text.split())] += 1
    return tuple(
        FrequentText(verdict=kind, text=text, count=count)
        for kind, texts in counts.items()
        for text, count in sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    )


def _distinct(judged: Sequence[Judged]) -> Sequence[Judged]:
    """One of each group of equal responses to the same question whose judges say the same; none of a single judge's."""
    judged = [(question, response, judgement) for question, response, judgement in judged if judgement.votes]
    seen: Mapping[object, Judged] = {
        (_mark(question, response), tuple(vote.verdict for vote in judgement.votes)): (question, response, judgement)
        for question, response, judgement in reversed(judged)
    }
    return list(seen.values())[::-1]


def _mark(question: Question, response: Response) -> tuple[str, str, str]:
    return question.dataset, question.id, response.text
