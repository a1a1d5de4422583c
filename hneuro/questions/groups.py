"""What a split must keep on one side: questions that share an entity, an answer or their words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from hneuro.questions.base import ARTICLES, normal_text
from hneuro.records import Question
from hneuro.result_records import FunnelStep

GroupBy = Literal["answer", "entity"]


def grouped(questions: Sequence[Question], by: GroupBy, dataset: str) -> tuple[tuple[Question, ...], FunnelStep]:
    """The questions with their `group`: the first entity, in alphabetical order, of all that are connected.

    By "answer", questions are tied by any gold alias, by the same words in any order, and by their entity; by "entity",
    by the last alone. The answers of multiple-choice questions tie nothing: half a set may be answered by "none".
    """
    parent: dict[str, str] = {}

    def root(tie: str) -> str:
        while (above := parent.setdefault(tie, tie)) != tie:
            parent[tie] = parent[above]
            tie = above
        return tie

    for question in questions:
        own, *others = _ties(question, by)
        for tie in others:
            parent[root(tie)] = root(own)
    name: dict[str, str] = {}
    for question in sorted(questions, key=lambda q: q.entity):
        name.setdefault(root(f"entity {question.entity}"), question.entity)
    found = tuple(replace(q, group=name[root(f"entity {q.entity}")]) for q in questions)
    entities, sizes = {q.entity for q in questions}, Counter(q.group for q in found)
    merged = len(entities) - len(sizes)
    step = FunnelStep(
        stage="groups",
        dataset=dataset,
        unit="entities",
        entered=len(entities),
        left=len(sizes),
        lost={"joined to another: a shared answer, or the same words": merged} if merged else {},
        note=f"splits and intervals are by {by}; the largest group has {max(sizes.values())} of {len(found)} questions",
    )
    return found, step


def _ties(question: Question, by: GroupBy) -> Iterator[str]:
    yield f"entity {question.entity}"
    if by == "answer":
        yield f"words {' '.join(sorted(normal_text(question.text).split()))}"
        for answer in () if question.options else question.answers:
            if alias := " ".join(word for word in normal_text(answer).split() if word not in ARTICLES):
                yield f"answer {alias}"
