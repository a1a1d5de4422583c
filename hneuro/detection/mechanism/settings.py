"""The settings of `mechanism`, and how often the training data mention what a question is about, read from a file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.questions.options import plain_text
from hneuro.questions.rows import read_rows
from hneuro.records import ASIDE, Question, UserError


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


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Occurrences in the training data, by the entity or by the id of a question."""

    by: Literal["entity", "id"]
    values: Mapping[str, float]


def read_counts(path: str) -> Counts:
    """The counts of a jsonl, json, csv or parquet file with the columns `entity` or `id`, and `count`.

    UserError, with the row, where a column is missing, a count is not a number from 0, or a name has two counts.
    """
    rows = read_rows(Path(path))
    if not rows:
        raise UserError(f"{path} has no rows: it needs one for each entity (entity, count) or question (id, count)")
    by: Literal["entity", "id"] = "id" if "id" in rows[0] else "entity"
    values: dict[str, float] = {}
    for number, row in enumerate(rows, 1):
        for column in (by, "count"):
            if column not in row:
                needed = "'id' or 'entity'" if column == "entity" else repr(column)
                raise UserError(f"{path}, row {number} has no {needed}; it has {', '.join(map(str, row))}")
        name, count = plain_text(row[by]), _number(row["count"])
        if count is None:
            raise UserError(f"{path}, row {number}: the count must be a number from 0, not {str(row['count'])[:40]!r}")
        if values.setdefault(name, count) != count:
            raise UserError(f"{path}, row {number}: {name!r} has another count than before")
    return Counts(by=by, values=values)


def frequencies(questions: Sequence[Question], counts: Counts | None, count_field: str) -> NDArray[np.float64]:
    """The count [question] of each, from `counts` or else from its `meta`; NaN where there is none."""
    found = np.full(len(questions), np.nan)
    for place, question in enumerate(questions):
        if counts is None:
            count = question.meta.get(count_field)
        else:
            count = counts.values.get(question.id if counts.by == "id" else question.entity)
        if count is not None:
            found[place] = count
    return found


def _number(cell: object) -> float | None:
    try:
        value = float(plain_text(cell))
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
