"""What every data set gives, and the checks that all of them pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from hneuro.records import FunnelStep, Question, UserError


@runtime_checkable
class QuestionSource(Protocol):
    """A part of the dataset config."""

    @property
    def name(self) -> str:
        """The name under which the questions appear in tables."""

    def load(self) -> tuple[Question, ...]:
        """All questions, in a fixed order."""


def normal_text(text: str) -> str:
    """Lower case, blanks collapsed: two questions with the same normal text are the same question."""
    return " ".join(text.lower().split())


def checked(questions: Sequence[Question], name: str, limit: int | None) -> tuple[tuple[Question, ...], FunnelStep]:
    """Drops repeated, ambiguous and unanswered questions with a count, and refuses what no run could use.

    Above `limit` a random part is kept, in its order and the same every time: files are often sorted.
    """
    if not questions:
        raise UserError(f"dataset {name} has no questions: check its path and its column names")
    ids = Counter(q.id for q in questions)
    if ids.most_common(1)[0][1] > 1:
        raise UserError(f"dataset {name} has the question id {ids.most_common(1)[0][0]!r} more than once")
    kept: list[Question] = []
    lost: Counter[str] = Counter()
    seen: set[str] = set()
    for question in questions:
        if not question.text.strip():
            raise UserError(f"dataset {name}: question {question.id!r} has no text")
        if normal_text(question.text) in seen:
            lost["repeated question text"] += 1
        elif len(set(question.options)) < len(question.options):
            lost["repeated option"] += 1
        elif question.answerable and not any(a.strip() for a in question.answers):
            lost["no gold answer"] += 1
        else:
            seen.add(normal_text(question.text))
            kept.append(question)
    if not kept:
        raise UserError(f"dataset {name}: none of its {len(questions)} questions has a gold answer")
    if limit is not None and len(kept) > limit:
        lost["over the limit"] = len(kept) - limit
        kept = [kept[n] for n in sorted(np.random.default_rng(0).choice(len(kept), size=limit, replace=False))]
    step = FunnelStep(
        stage="questions", dataset=name, unit="questions", entered=len(questions), left=len(kept), lost=dict(lost)
    )
    return tuple(kept), step
