"""The labeling modes: which pooled vectors become rows of the probe, and with which label (paper, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from hneuro.records import Contributions, LabelledResponse, ProbeRows


@runtime_checkable
class Labeling(Protocol):
    """The part behind `labeling`."""

    @property
    def name(self) -> str:
        """As it stands in tables."""

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that its rows are made from."""

    def rows(self, found: Contributions, labelled: Sequence[LabelledResponse]) -> ProbeRows:
        """The training rows of these responses."""


@dataclass(frozen=True, kw_only=True)
class OneVsOne:
    """The answer vector of each response: y = 1 if it is hallucinated."""

    name: str = "1-vs-1"
    regions: tuple[str, ...] = ("answer",)

    def rows(self, found: Contributions, labelled: Sequence[LabelledResponse]) -> ProbeRows:
        return answer_rows(found, labelled)


@dataclass(frozen=True, kw_only=True)
class ThreeVsOne:
    """y = 1: answer vectors of hallucinated responses; y = 0: those of faithful ones, and the other tokens of both.

    The contrast with other tokens keeps neurons out that are busy at any token of a hallucinated response.
    """

    name: str = "3-vs-1"
    regions: tuple[str, ...] = ("answer", "other")

    def rows(self, found: Contributions, labelled: Sequence[LabelledResponse]) -> ProbeRows:
        answers = answer_rows(found, labelled)
        where = found.rows_of([(r.question_id, r.sample) for r in labelled])
        others = found.region("other")[where]
        return ProbeRows(
            x=np.concatenate([answers.x, others]),
            y=np.concatenate([answers.y, np.zeros(len(others), dtype=np.int8)]),
            groups=np.concatenate([answers.groups, answers.groups]),
            space=found.space,
        )


def answer_rows(found: Contributions, labelled: Sequence[LabelledResponse]) -> ProbeRows:
    """One row a response, its answer vector: what every detector is tested on, whatever it was trained on."""
    where = found.rows_of([(r.question_id, r.sample) for r in labelled])
    return ProbeRows(
        x=np.asarray(found.region("answer")[where]),
        y=np.array([r.hallucinated for r in labelled], dtype=np.int8),
        groups=np.array([r.entity for r in labelled], dtype=np.str_),
        space=found.space,
    )
