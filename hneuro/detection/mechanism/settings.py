"""The settings of `mechanism`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from hneuro.detection.mechanism.frequency import read_counts
from hneuro.records import ASIDE


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How a model is asked whether it is sure of what it said, and how a sure and an unsure reply begin."""

    question: str
    sure: tuple[str, ...]
    unsure: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.question.strip() or not all((*self.sure, *self.unsure)) or not self.sure or not self.unsure:
            raise ValueError("a wording needs a question, and words for sure and for unsure")


@dataclass(frozen=True, kw_only=True)
class MechanismSettings:
    """`measured`: whether there is a table at all. `samples`: responses to each held-out question whose clusters are
    counted; 0: none. `asking`: the first wording that the model has words for is used; none: it is not asked.

    Frequencies are counts of the training data: those of the file `counts`, a row an entity or a question, or else
    what the questions themselves bring in the field `count_field` of their `meta`.
    """

    measured: bool = True
    samples: int = 5
    asking: tuple[Wording, ...] = ()
    counts: str | None = field(default=None, metadata=ASIDE)
    count_field: str = "count"
    folds: int = 5  # of entities, over which the models of the held-fixed comparison are cross-fitted
    min_per_class: int = 20  # hallucinated, and faithful, rows below which nothing is fitted or tested
    transfer: bool = True  # whether every set gets a probe of its own
    token_budget: int = 16384  # padded tokens of one batch in which the model is asked
    content: str = field(init=False, default="")  # digest of the counts, so that a changed file is another run

    def __post_init__(self) -> None:
        if self.samples < 0 or self.samples == 1:
            raise ValueError("samples must be 0 or at least 2")
        if self.folds < 2 or self.min_per_class < self.folds or self.token_budget < 1:
            raise ValueError("folds must be at least 2, min_per_class at least folds, token_budget at least 1")
        if self.counts is not None and Path(self.counts).is_file():
            object.__setattr__(self, "content", hashlib.sha256(Path(self.counts).read_bytes()).hexdigest())

    def check(self) -> None:
        """UserError where the counts cannot be read."""
        if self.measured and self.counts is not None:
            read_counts(self.counts)
