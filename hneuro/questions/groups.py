"""What a split must keep on one side: questions that share an entity, an answer or their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hneuro.questions.base import normal_text
from hneuro.records import Question
from hneuro.results import FunnelStep
from hneuro.spans.normal import ARTICLES, words_at

GroupBy = Literal["answer", "entity"]
Tie = tuple[str, str]


def grouped(questions: Sequence[Question], by: GroupBy, dataset: str) -> tuple[tuple[Question, ...], FunnelStep]:
    """The questions with their `group`: the first entity, in order of the alphabet, of all that are connected.

    By "answer", questions are tied by any gold alias, by the same words in any order, and by their entity; by "entity",
    by the last alone. The answers of multiple-choice questions tie nothing: half a set may be answered by "none".
    """
    ties = [list(dict.fromkeys(_ties(question, by))) for question in questions]
    number: dict[Tie, int] = {}
    pairs = [(row, number.setdefault(tie, len(number))) for row, own in enumerate(ties) for tie in own]
    rows, columns = np.array(pairs).T if pairs else np.zeros((2, 0), dtype=np.int64)
    size = len(questions) + len(number)
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, len(questions) + columns)), shape=(size, size))
    of = connected_components(graph, directed=False)[1][: len(questions)].tolist()
    name: dict[int, str] = {}
    for question, group in sorted(zip(questions, of, strict=True), key=lambda pair: pair[0].entity):
        name.setdefault(group, question.entity)
    found = tuple(replace(question, group=name[group]) for question, group in zip(questions, of, strict=True))
    entities = {question.entity for question in questions}
    merged = len(entities) - len(name)
    largest = Counter(question.group for question in found).most_common(1)
    step = FunnelStep(
        stage="groups",
        dataset=dataset,
        unit="entities",
        entered=len(entities),
        left=len(name),
        lost={"joined to another: a shared answer, or the same words": merged} if merged else {},
        note=f"splits and intervals are by {by}; the largest group has {largest[0][1]} of {len(found)} questions"
        if found
        else "",
    )
    return found, step


def _ties(question: Question, by: GroupBy) -> Iterator[Tie]:
    yield "entity", question.entity
    if by == "entity":
        return
    yield "words", " ".join(sorted(normal_text(question.text).split()))
    if not question.options:
        for answer in question.answers:
            if alias := " ".join(word.text for word in words_at(answer) if word.text not in ARTICLES):
                yield "answer", alias
