"""Your own questions, from a jsonl, json, csv or parquet file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hneuro.records import Question, UserError


@dataclass(frozen=True, kw_only=True)
class QuestionFile:
    """A file with a row for each question. The `*_column` fields name its columns; `id` and `entity` may be missing.

    `answers_column` holds a list of gold answers, or one text. `entity_column` names what a split must not separate
    (all questions about one person, say); without it every question stands for itself.
    """

    path: str
    name: str = "file"
    question_column: str = "question"
    answers_column: str = "answers"
    id_column: str = "id"
    entity_column: str = "entity"

    def load(self) -> tuple[Question, ...]:
        rows = _rows(Path(self.path))
        for needed in (self.question_column, self.answers_column):
            if rows and needed not in rows[0]:
                raise UserError(f"{self.path} has no column {needed!r}; it has {', '.join(map(str, rows[0]))}")
        return tuple(self._question(n, row) for n, row in enumerate(rows))

    def _question(self, number: int, row: Mapping[str, Any]) -> Question:
        identity = str(row.get(self.id_column, number))
        answers = row[self.answers_column]
        listed = [answers] if isinstance(answers, str) else list(answers if answers is not None else [])
        return Question(
            id=identity,
            dataset=self.name,
            text=str(row[self.question_column]),
            answers=tuple(str(a) for a in listed),
            entity=str(row.get(self.entity_column, identity)),
        )


def _rows(path: Path) -> list[Mapping[str, Any]]:
    if not path.is_file():
        raise UserError(f"the question file {path} does not exist")
    if path.suffix == ".jsonl":
        return [_json_line(path, n, line) for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if line]
    import pandas as pd

    readers = {".json": pd.read_json, ".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise UserError(f"{path}: questions are read from .jsonl, .json, .csv and .parquet files")
    try:
        table = readers[path.suffix](path)
    except (ValueError, OSError) as fault:
        raise UserError(f"cannot read {path}: {fault}") from fault
    return [dict(row) for row in table.to_dict("records")]


def _json_line(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as fault:
        raise UserError(f"{path}, line {number} is not JSON: {fault}") from fault
    if not isinstance(row, dict):
        raise UserError(f"{path}, line {number} is not a JSON object")
    return row
