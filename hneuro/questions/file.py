"""Questions from any table, by the names of its columns: your own file, or a data set of the hub."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hneuro.questions.base import QuestionSet, normal_text, text_id
from hneuro.questions.options import GoldForm, OptionLayout, option_texts, plain_text, right_option
from hneuro.questions.rows import Row
from hneuro.questions.table import Rows, Table
from hneuro.records import Question


@dataclass(frozen=True, kw_only=True)
class QuestionFile(Table):
    """A table with a row for each question. The `*_column` fields name its columns; only two of them must be there.

    `answers_column` holds a list of gold answers (in csv: a JSON list), or one text. `id_column` is for ids of yours;
    without it the text is the id. `entity_column` names what a split must not separate (all questions about one person,
    say); without it every question is its own entity. `answerable_column` says false of questions about what does not
    exist, where every answer is a hallucination.

    Multiple choice: `options_columns` names one column that holds a list of options, or an object by letter, or several
    columns that hold an option each. The answer is then an option, given as `gold_form` says: by its text, its letter
    or its index from 0; "auto" takes whatever is not ambiguous. `layout` puts question and options to the model.
    """

    name: str = "file"
    question_column: str = "question"
    answers_column: str = "answers"
    id_column: str = "id"
    entity_column: str = "entity"
    answerable_column: str = "answerable"
    options_columns: tuple[str, ...] = ("options",)
    gold_form: GoldForm = "auto"
    layout: OptionLayout = field(default_factory=OptionLayout)

    def load(self) -> QuestionSet:
        needed = (self.question_column, self.answers_column)
        optional = (self.id_column, self.entity_column, self.answerable_column, *self.options_columns)
        table = self.read(needed, optional, ask=("question_column", "answers_column"))
        return QuestionSet(
            questions=tuple(self._question(table, number, row) for number, row in table), origin=table.origin
        )

    def _question(self, table: Rows, number: int, row: Row) -> Question:
        text = self._text(table, number, self.question_column, row[self.question_column])
        options = self._options(table, number, row)
        # In whatever order: the same question with its options shuffled is the same question.
        alone = normal_text(" ".join([text, *sorted(options)]))
        return Question(
            id=self._text(table, number, self.id_column, row.get(self.id_column))
            or text_id(" ".join([text, *options])),
            dataset=self.name,
            text=self.layout.text(text, options) if text and options else text,
            answers=self._answers(table, number, row, options),
            entity=self._text(table, number, self.entity_column, row.get(self.entity_column)) or alone,
            answerable=self._answerable(table, number, row),
            options=options,
        )

    def _options(self, table: Rows, number: int, row: Row) -> tuple[str, ...]:
        cells = [row.get(column) for column in self.options_columns]
        if not any(map(_filled, cells)):
            return ()
        cell = self._json(table, number, self.options_columns[0], cells[0], "[{") if len(cells) == 1 else cells
        try:
            return option_texts(cell)
        except ValueError as fault:
            raise table.fault(number, f"{', '.join(self.options_columns)!r} {fault}") from fault

    def _answers(self, table: Rows, number: int, row: Row, options: Sequence[str]) -> tuple[str, ...]:
        cell = self._json(table, number, self.answers_column, row[self.answers_column], "[")
        if isinstance(cell, Mapping):
            raise table.fault(number, f"{self.answers_column!r} must be a list or a text, not an object")
        listed = cell if isinstance(cell, list) else [cell]
        said = [answer for answer in listed if self._text(table, number, self.answers_column, answer)]
        if not options:
            return tuple(map(plain_text, said))
        try:
            right = [right_option(answer, options, self.gold_form) for answer in said]
        except ValueError as fault:
            raise table.fault(number, f"{self.answers_column!r} {fault} (gold_form is {self.gold_form})") from fault
        return tuple(options[n] for n in right if n is not None)

    def _text(self, table: Rows, number: int, column: str, cell: Any) -> str:
        """The text of a cell; a list, an object or a truth value is refused."""
        if isinstance(cell, list | Mapping | bool):
            raise table.fault(number, f"{column!r} must be text, not {json.dumps(cell, default=str)[:40]}")
        return plain_text(cell)

    def _answerable(self, table: Rows, number: int, row: Row) -> bool:
        said = plain_text(row.get(self.answerable_column)).lower()
        if said not in ("", "true", "false"):
            raise table.fault(number, f"{self.answerable_column!r} must be true or false, not {said}")
        return said != "false"

    def _json(self, table: Rows, number: int, column: str, cell: Any, openings: str) -> Any:
        """The value of a cell; in csv, whose cells are texts, a list (or object) is written as JSON."""
        if not table.is_text or not isinstance(cell, str) or cell.lstrip()[:1] not in set(openings):
            return cell
        try:
            return json.loads(cell)
        except ValueError as fault:
            raise table.fault(number, f"{column!r} begins like a list but is not a JSON list: {cell[:40]}") from fault


def _filled(cell: Any) -> bool:
    return bool(cell) if isinstance(cell, list | Mapping) else bool(plain_text(cell))
