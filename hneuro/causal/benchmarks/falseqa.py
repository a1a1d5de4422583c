"""FalseQA: questions whose premise is false (paper, section 3.2). Complying is to answer without refuting it."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hneuro.causal.benchmarks.base import UNREADABLE, Answer, Measure, check_rubric, needs_grader, read_by
from hneuro.questions.base import normal_text
from hneuro.questions.options import plain_text
from hneuro.questions.table import Table
from hneuro.records import BenchmarkItem, Outcome, Reading
from hneuro.responses.decoding import Decoding
from hneuro.verdicts.rubric import Grader

LABELS = {"1": "false_premise", "0": "sound"}
# What the grader's words mean: whether the premise is taken for granted.
MEANING: Mapping[str, tuple[Outcome, float | None]] = {
    "accepts": (Outcome.COMPLIES, None),
    "refutes": (Outcome.RESISTS, None),
    "declines": (Outcome.REFUSED, None),
    **UNREADABLE,
}


@dataclass(frozen=True, kw_only=True)
class FalseQA(Table):
    """The csv files of thunlp/FalseQA, or a table with their columns: question, answer, label.

    `questions`: "false_premise" are the benchmark (687 in the test file), "sound" their twins, harmless controls.
    Only a model can read an answer: `grader` names it and what it is asked.
    """

    questions: Literal["false_premise", "sound"] = "false_premise"
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0, max_new_tokens=256))
    grader: Grader | None = None
    measures: ClassVar[Measure] = "compliance"

    def __post_init__(self) -> None:
        if self.grader is not None:
            check_rubric(self.grader, MEANING, {"question", "reference", "answer"})

    def check(self) -> None:
        needs_grader(self.name, self.grader)

    @property
    def name(self) -> str:
        return "falseqa" if self.questions == "false_premise" else "falseqa_sound"

    def items(self) -> tuple[BenchmarkItem, ...]:
        table = self.read(("question", "answer", "label"))
        items: list[BenchmarkItem] = []
        for number, row in table:
            label = plain_text(row["label"]).removesuffix(".0")
            if label not in LABELS:
                raise table.fault(number, f"'label' must be 1 (false premise) or 0 (sound), not {label[:40]!r}")
            text = plain_text(row["question"])
            try:
                reference = _answers(row["answer"])
            except (ValueError, SyntaxError) as fault:
                raise table.fault(number, "'answer' begins like a list but is none") from fault
            if LABELS[label] == self.questions:
                items.append(
                    BenchmarkItem(
                        id=str(number),
                        benchmark=self.name,
                        messages=({"role": "user", "content": text},),
                        comply=(),
                        resist=(),
                        meta={"entity": normal_text(text), "question": text, "reference": reference},
                    )
                )
        return tuple(items)

    def readings(self, answers: Sequence[Answer]) -> Sequence[Reading]:
        grader = needs_grader(self.name, self.grader)
        return read_by(grader, [(item, replies[-1]) for item, replies in answers], MEANING)


def _answers(cell: object) -> tuple[str, ...]:
    """The texts of a list, of a text that is one in Python, or one text."""
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        cell = ast.literal_eval(cell)
    return tuple(filter(None, map(plain_text, cell if isinstance(cell, list) else [cell])))
