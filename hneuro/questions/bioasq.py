"""BioASQ, the biomedical set that the paper tests on (section 2.4): the official files, and the copy on the hub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hneuro.questions.base import QuestionSet, normal_text, text_id
from hneuro.questions.options import plain_text
from hneuro.questions.rows import Row
from hneuro.questions.table import Rows, Table
from hneuro.records import Question

TAGGED = re.compile(r"\s*<answer>\s*(.*?)\s*(<context>|$)", flags=re.DOTALL)
Read = tuple[str, str, tuple[str, ...]]  # id, question, gold answers


@dataclass(frozen=True, kw_only=True)
class BioASQ(Table):
    """Factoid questions of task B: the registered download (a JSON file, or a folder of them), or `kroshan/BioASQ`.

    In the download, `exact_answer` is a list of lists of synonyms, or a list. In the copy, a row has one answer and one
    context; the rows of a question are put together.
    """

    path: str = "kroshan/BioASQ"
    split: str | None = "train"
    name: str = "bioasq"

    def load(self) -> QuestionSet:
        table = self.read((), ("id", "body", "type", "exact_answer", "question", "text"), within="questions")
        left_out: Counter[str] = Counter()
        found: dict[str, Question] = {}
        for number, row in table:
            read = _official(row) if "body" in row else _tagged(table, number, row)
            if isinstance(read, str):
                left_out[read] += 1
                continue
            name, text, answers = read
            entity = normal_text(text)
            if before := found.get(entity):
                left_out["another row of a question"] += 1
                found[entity] = replace(before, answers=tuple(dict.fromkeys((*before.answers, *answers))))
            else:
                found[entity] = Question(id=name, dataset=self.name, text=text, answers=answers, entity=entity)
        return QuestionSet(questions=tuple(found.values()), origin=table.origin, left_out=left_out)


def _official(row: Row) -> Read | str:
    """The question of a row of the download, or why it is none."""
    if row.get("type") != "factoid" or "exact_answer" not in row:
        return "not a factoid question with an exact answer"
    text = plain_text(row["body"])
    return plain_text(row.get("id")) or text_id(text), text, tuple(dict.fromkeys(_texts(row["exact_answer"])))


def _tagged(table: Rows, number: int, row: Row) -> Read | str:
    """The question of a row of the copy, or why it is none."""
    if "question" not in row or "text" not in row:
        raise table.fault(number, "has neither 'body' and 'exact_answer', as the download, nor 'question' and 'text'")
    text, said = plain_text(row["question"]), TAGGED.match(plain_text(row["text"]))
    return (text_id(text), text, (said[1],)) if said and said[1] else "no answer after <answer>"


def _texts(cell: Any) -> Iterator[str]:
    """The texts of a list, of a list of lists, or of one text."""
    if isinstance(cell, list):
        for part in cell:
            yield from _texts(part)
    elif text := plain_text(cell):
        yield text
