"""TriviaQA, the set that the paper identifies with (section 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hneuro.questions.base import QuestionSet, normal_text
from hneuro.questions.options import plain_text
from hneuro.questions.table import Table
from hneuro.records import Question

ALIASES = ("value", "aliases", "normalized_aliases")  # as the published code takes them, and the answer itself


@dataclass(frozen=True, kw_only=True)
class TriviaQA(Table):
    """`mandarjoshi/trivia_qa`. A question about several documents has several rows with one id."""

    path: str = "mandarjoshi/trivia_qa"
    config: str | None = "rc.nocontext"
    split: str | None = "validation"  # the answers of "test" are hidden
    name: str = "triviaqa"

    def load(self) -> QuestionSet:
        table = self.read(("question", "question_id", "answer"))
        questions = []
        seen: set[tuple[str, str]] = set()
        for number, row in table:
            name, text, answer = plain_text(row["question_id"]), plain_text(row["question"]), row["answer"]
            if (name, text) in seen:
                continue  # counted below
            seen.add((name, text))
            if not isinstance(answer, Mapping):
                raise table.fault(number, "'answer' must be an object with 'value' and 'aliases'")
            gold, entity = _gold(answer), normal_text(text)
            questions.append(Question(id=name, dataset=self.name, text=text, answers=gold, entity=entity))
        repeated = len(table.rows) - len(questions)
        left_out = {"another row of a question": repeated} if repeated else {}
        return QuestionSet(questions=tuple(questions), origin=table.origin, left_out=left_out)


def _gold(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Every alias once. "<unk>" is how hidden answers are written."""
    cells = [answer.get(key) or [] for key in ALIASES]
    said = (plain_text(alias) for cell in cells for alias in (cell if isinstance(cell, list) else [cell]))
    return tuple(dict.fromkeys(alias for alias in said if alias not in ("", "<unk>")))
