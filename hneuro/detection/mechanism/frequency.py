"""How often the training data speak of what a question is about: known, or counted elsewhere and read from a file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.questions.options import plain_text
from hneuro.questions.rows import read_rows
from hneuro.records import Question, UserError


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
