"""Your own questions, from a jsonl, json, csv or parquet file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hneuro.questions.base import normal_text
from hneuro.records import Question, UserError

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class QuestionFile:
    """A file with a row for each question. The `*_column` fields name its columns; only two of them must be there.

    `answers_column` holds a list of gold answers (in csv: a JSON list), or one text. `entity_column` names what a split
    must not separate (all questions about one person, say); without it every question stands for itself.
    `answerable_column` says false of questions about what does not exist, where every answer is a hallucination.
    """

    path: str
    name: str = "file"
    question_column: str = "question"
    answers_column: str = "answers"
    id_column: str = "id"
    entity_column: str = "entity"
    answerable_column: str = "answerable"

    def load(self) -> tuple[Question, ...]:
        return tuple(self._question(n, row) for n, row in enumerate(_rows(Path(self.path)), 1))

    def _question(self, number: int, row: Row) -> Question:
        for needed in (self.question_column, self.answers_column):
            if needed not in row:
                raise UserError(f"{self.path}, row {number} has no {needed!r}; it has {', '.join(map(str, row))}")
        text = _text(row[self.question_column])
        answers = row[self.answers_column]
        if self.path.endswith(".csv") and answers.lstrip().startswith("["):
            answers = self._json_list(number, answers)
        if isinstance(answers, Mapping):
            raise self._fault(number, self.answers_column, "must be a list or a text, not an object")
        listed = answers if isinstance(answers, list) else [answers]
        return Question(
            id=_text(row.get(self.id_column)) or str(number),
            dataset=self.name,
            text=text,
            answers=tuple(answer for answer in map(_text, listed) if answer),
            entity=_text(row.get(self.entity_column)) or normal_text(text),
            answerable=self._answerable(number, row),
        )

    def _answerable(self, number: int, row: Row) -> bool:
        said = _text(row.get(self.answerable_column)).lower()
        if said not in ("", "true", "false"):
            raise self._fault(number, self.answerable_column, f"must be true or false, not {said}")
        return said != "false"

    def _json_list(self, number: int, cell: str) -> Any:
        try:
            return json.loads(cell)
        except ValueError as fault:
            raise self._fault(
                number, self.answers_column, f"begins like a list but is no JSON list: {cell[:40]}"
            ) from fault

    def _fault(self, number: int, column: str, what: str) -> UserError:
        return UserError(f"{self.path}, row {number}: {column!r} {what}")


def _text(value: Any) -> str:
    """The text of a cell, empty where the cell is."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()


def _rows(path: Path) -> Sequence[Row]:
    readers = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        raise UserError(f"{path}: questions are read from .jsonl, .json, .csv and .parquet files")
    if not path.is_file():
        raise UserError(f"the question file {path} does not exist")
    try:
        return readers[path.suffix](path)
    except (ValueError, OSError, csv.Error) as fault:
        raise UserError(f"cannot read {path}: {str(fault).splitlines()[0]}") from fault


def _jsonl(path: Path) -> Sequence[Row]:
    rows = []
    # Not `splitlines`: a JSON text may hold the rarer line breaks of Unicode as they are.
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as fault:
                raise ValueError(f"line {number} is not JSON: {fault}") from fault
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is not a JSON object")
            rows.append(row)
    return rows


def _json(path: Path) -> Sequence[Row]:
    rows = json.loads(path.read_text("utf-8-sig"))
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("it must be a list of JSON objects, one for each question")
    return rows


def _csv(path: Path) -> Sequence[Row]:
    """Cells stay texts, so that 007 is not 7 and NA is not nothing."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ValueError(f"row {number} has not as many cells as the header")
    return rows


def _parquet(path: Path) -> Sequence[Row]:
    from pyarrow import parquet

    rows: list[Row] = parquet.read_table(path).to_pylist()
    return rows
