"""Splits that no entity crosses, made before anything is sampled, and balanced classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hneuro.questions.base import normal_text
from hneuro.records import LabelledResponse, Question, UserError
from hneuro.results import FunnelStep


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Shares of the entities: `fit` trains the probe, `select` chooses C and thresholds, `report` is published."""

    fit: float = 0.6
    select: float = 0.15
    report: float = 0.25
    most_per_class: int = 1000  # hallucinated, and faithful, responses of each set (paper: 1,000 + 1,000)

    def __post_init__(self) -> None:
        if min(self.fit, self.select, self.report) <= 0 or abs(self.fit + self.select + self.report - 1) > 1e-9:
            raise ValueError("fit, select and report must be positive and sum to 1")


def split_by_entity(questions: Sequence[Question], shares: Splits, seed: int) -> dict[str, tuple[Question, ...]]:
    """{"fit", "select", "report"} -> questions, in their order, none empty. An entity's questions stay together."""
    entities = sorted({q.entity for q in questions})
    if len(entities) < 3:
        raise UserError(
            f"{len(entities)} entities cannot be split into fit, select and report: more questions are needed"
        )
    np.random.default_rng(seed).shuffle(entities)
    count = len(entities)
    fit = min(max(round(shares.fit * count), 1), count - 2)
    select = min(max(round((shares.fit + shares.select) * count), fit + 1), count - 1)
    part_of = {e: "fit" if n < fit else "select" if n < select else "report" for n, e in enumerate(entities)}
    parts = {part: tuple(q for q in questions if part_of[q.entity] == part) for part in ("fit", "select", "report")}
    assert_disjoint(parts)
    return parts


def assert_disjoint(parts: Mapping[str, Sequence[Question]]) -> None:
    """No entity, and no question text, in two parts. Several data sets may be checked together."""
    for what in ("entity", "text"):
        seen: dict[str, str] = {}
        for part, questions in parts.items():
            for question in questions:
                mark = question.entity if what == "entity" else normal_text(question.text)
                if seen.setdefault(mark, part) != part:
                    raise UserError(f"the {what} {mark!r} is both in {seen[mark]} and in {part}: the splits leak")


def balance(
    labelled: Sequence[LabelledResponse], dataset: str, seed: int, limit: int | None = None
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """As many hallucinated as faithful responses (at most `limit` of each), drawn at random, in their order."""
    wrong = [n for n, r in enumerate(labelled) if r.hallucinated]
    right = [n for n, r in enumerate(labelled) if not r.hallucinated]
    size = min(len(wrong), len(right), limit if limit is not None else len(labelled))
    draw = np.random.default_rng(seed)
    chosen = sorted(int(n) for side in (wrong, right) for n in draw.choice(side, size=size, replace=False) if side)
    step = FunnelStep(
        stage="balance",
        dataset=dataset,
        unit="responses",
        entered=len(labelled),
        left=len(chosen),
        lost={
            side: count
            for side, count in (("hallucinated, over", len(wrong) - size), ("faithful, over", len(right) - size))
            if count
        },
    )
    return tuple(labelled[n] for n in chosen), step
