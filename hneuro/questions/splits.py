"""What a split must keep together, and splits that no group crosses, made before anything is sampled."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

import numpy as np

from hneuro.questions.base import ARTICLES, normal_text
from hneuro.records import Question, UserError
from hneuro.result_records import FunnelStep

GroupBy = Literal["answer", "entity"]
PARTS = ("fit", "select", "report")


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Shares of the questions: `fit` trains the probe, `select` chooses C and thresholds, `report` is published."""

    fit: float = 0.6
    select: float = 0.15
    report: float = 0.25
    by: GroupBy = "answer"  # what is held out together: whatever shares an answer, or only what shares an entity
    most_per_class: int = 1000  # hallucinated, and faithful, responses of each set (paper: 1,000 + 1,000)

    def __post_init__(self) -> None:
        if min(self.fit, self.select, self.report) <= 0 or abs(self.fit + self.select + self.report - 1) > 1e-9:
            raise ValueError("fit, select and report must be positive and sum to 1")
        if self.most_per_class < 1:
            raise ValueError("most_per_class must be at least 1")


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


def split_by_group(questions: Sequence[Question], shares: Splits, seed: int) -> dict[str, tuple[Question, ...]]:
    """{"fit", "select", "report"} -> questions, in their order, none empty. A group's questions stay together.

    An unusually large group that would fill more than half of a part goes to one in which it does not, or else to the
    one with the most room; the others fill the remaining room in random order.
    """
    size = Counter(question.group for question in questions)
    groups = sorted(size)
    draw = np.random.default_rng(seed)
    draw.shuffle(groups)
    room = {
        part: share * len(questions)
        for part, share in zip(PARTS, (shares.fit, shares.select, shares.report), strict=True)
    }
    usual = max(min(room.values()) / 2, 2 * median(size.values()))
    part_of: dict[str, str] = {}
    for group in (group for group in groups if size[group] > usual):
        parts = [part for part in PARTS if size[group] <= room[part] / 2] or [max(PARTS, key=lambda part: room[part])]
        weights = np.array([room[part] for part in parts])
        part_of[group] = str(draw.choice(parts, p=weights / weights.sum())) if len(parts) > 1 else parts[0]
        room[part_of[group]] -= size[group]
    rest = [group for group in groups if group not in part_of]
    if len(rest) < len(PARTS):
        raise UserError(
            f"{len(groups)} groups of questions that share an answer or an entity cannot be split into fit, select and "
            "report: more questions are needed" + (", or splits.by=entity" if shares.by == "answer" else "")
        )
    sizes, left = np.array([size[group] for group in rest]), [max(room[part], 0) for part in PARTS]
    ends = np.cumsum(left)[:2] / sum(left) * sizes.sum()
    fit, select = np.searchsorted(np.cumsum(sizes) - sizes / 2, ends).tolist()
    fit = min(max(fit, 1), len(rest) - 2)
    select = min(max(select, fit + 1), len(rest) - 1)
    part_of |= {group: PARTS[(place >= fit) + (place >= select)] for place, group in enumerate(rest)}
    parts_of = {part: tuple(q for q in questions if part_of[q.group] == part) for part in PARTS}
    assert_disjoint(parts_of)
    return parts_of


def assert_disjoint(parts: Mapping[str, Sequence[Question]]) -> None:
    """No group, and no question text, in two parts. Several data sets may be checked together."""
    for what in ("group", "text"):
        seen: dict[str, str] = {}
        for part, questions in parts.items():
            for question in questions:
                mark = question.group if what == "group" else normal_text(question.text)
                if seen.setdefault(mark, part) != part:
                    raise UserError(f"the {what} {mark!r} is both in {seen[mark]} and in {part}: the splits leak")


def place_in_draw(question_id: str, seed: int) -> str:
    """A sort key that puts questions in a random order, the same whichever others there are."""
    return hashlib.sha256(f"{seed}/{question_id}".encode()).hexdigest()


def in_turn(questions: Sequence[Question], seed: int) -> list[Question]:
    """In the order of the draw, but one question of each group before the second of any: tests count groups."""
    drawn = sorted(questions, key=lambda q: place_in_draw(q.id, seed))
    before, turn = Counter[str](), dict[str, int]()
    for question in drawn:
        turn[question.id] = before[question.group]
        before[question.group] += 1
    return sorted(drawn, key=lambda q: turn[q.id])
