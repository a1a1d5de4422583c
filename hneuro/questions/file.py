"""Your own questions, from a jsonl, json, csv or parquet file."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hneuro.questions.base import normal_text
from hneuro.questions.options import GoldForm, OptionLayout, option_texts, plain_text, right_option
from hneuro.records import Question, UserError

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class QuestionFile:
    """A file with a row for each question. The `*_column` fields name its columns; only two of them must be there.

    `answers_column` holds a list of gold answers (in csv: a JSON list), or one text. `entity_column` names what a split
    must not separate (all questions about one person, say); without it every question stands for itself.
    `answerable_column` says false of questions about what does not exist, where every answer is a hallucination.

    Multiple choice: `options_columns` names one column that holds a list of options, or an object by letter, or several
    columns that hold an option each. The answer is then an option, given as `gold_form` says: by its text, its letter
    or its index from 0; "auto" takes whatever is not ambiguous. `layout` puts question and options to the model.
    """

    path: str
    name: str = "file"
    question_column: str = "question"
    answers_column: str = "answers"
    id_column: str = "id"
    entity_column: str = "entity"
    answerable_column: str = "answerable"
    options_columns: tuple[str, ...] = ("options",)
    gold_form: GoldForm = "auto"
    layout: OptionLayout = field(default_factory=OptionLayout)

    def load(self) -> tuple[Question, ...]:
        return tuple(self._question(n, row) for n, row in enumerate(_rows(Path(self.path)), 1))

    def _question(self, number: int, row: Row) -> Question:
        for needed in (self.question_column, self.answers_column):
            if needed not in row:
                raise UserError(f"{self.path}, row {number} has no {needed!r}; it has {', '.join(map(str, row))}")
        text = plain_text(row[self.question_column])
        options = self._options(number, row)
        # In whatever order: the same question with its options shuffled is the same question.
        alone = normal_text(" ".join([text, *sorted(options)]))
        return Question(
            id=plain_text(row.get(self.id_column)) or str(number),
            dataset=self.name,
            text=self.layout.text(text, options) if text and options else text,
            answers=self._answers(number, row, options),
            entity=plain_text(row.get(self.entity_column)) or alone,
            answerable=self._answerable(number, row),
            options=options,
        )

    def _options(self, number: int, row: Row) -> tuple[str, ...]:
        cells = [row.get(column) for column in self.options_columns]
        if not any(map(_filled, cells)):
            return ()
        cell = self._json(number, self.options_columns[0], cells[0], "[{") if len(cells) == 1 else cells
        try:
            return option_texts(cell)
        except ValueError as fault:
            raise self._fault(number, ", ".join(self.options_columns), str(fault)) from fault

    def _answers(self, number: int, row: Row, options: Sequence[str]) -> tuple[str, ...]:
        cell = self._json(number, self.answers_column, row[self.answers_column], "[")
        if isinstance(cell, Mapping):
            raise self._fault(number, self.answers_column, "must be a list or a text, not an object")
        said = [answer for answer in (cell if isinstance(cell, list) else [cell]) if plain_text(answer)]
        if not options:
            return tuple(map(plain_text, said))
        try:
            right = [right_option(answer, options, self.gold_form) for answer in said]
        except ValueError as fault:
            raise self._fault(number, self.answers_column, f"{fault} (gold_form is {self.gold_form})") from fault
        return tuple(options[n] for n in right if n is not None)

    def _answerable(self, number: int, row: Row) -> bool:
        said = plain_text(row.get(self.answerable_column)).lower()
        if said not in ("", "true", "false"):
            raise self._fault(number, self.answerable_column, f"must be true or false, not {said}")
        return said != "false"

    def _json(self, number: int, column: str, cell: Any, openings: str) -> Any:
        """The value of a cell; in csv, whose cells are texts, a list (or object) is written as JSON."""
        if not self.path.endswith(".csv") or not isinstance(cell, str) or cell.lstrip()[:1] not in set(openings):
            return cell
        try:
            return json.loads(cell)
        except ValueError as fault:
            raise self._fault(number, column, f"begins like a list but is no JSON list: {cell[:40]}") from fault

    def _fault(self, number: int, column: str, what: str) -> UserError:
        return UserError(f"{self.path}, row {number}: {column!r} {what}")


def _filled(cell: Any) -> bool:
    return bool(cell) if isinstance(cell, list | Mapping) else bool(plain_text(cell))


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
