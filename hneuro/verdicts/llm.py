"""The judge that is a language model: it reads question, gold answers and response, and gives one of three labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from hneuro.endpoint.client import Endpoint
from hneuro.records import Judgement, Question, Response, Verdict
from hneuro.verdicts.base import Pair, judgement
from hneuro.verdicts.rubric import Grade, Grader, Rubric
from hneuro.verdicts.words import normal_words

ANSWERABLE = {"correct": Verdict.CORRECT, "incorrect": Verdict.WRONG, "refused": Verdict.REFUSED}
FABRICATED = {"claims": Verdict.WRONG, "refuses": Verdict.REFUSED}
REASON_SHOWN = 300


@dataclass(frozen=True, kw_only=True)
class LLMJudge:
    """Asks `answerable` of questions that have an answer, and `fabricated` of those about what does not exist.

    Their labels: correct, incorrect, refused; and claims (it answers as if it knew), refuses. Any other reply is
    unjudged (the published code looks for the letter t in it, so that "incorrect" is correct).
    """

    endpoint: Endpoint
    answerable: Rubric
    fabricated: Rubric
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name, rubric, labels, places in (
            ("answerable", self.answerable, ANSWERABLE, {"question", "answers", "response"}),
            ("fabricated", self.fabricated, FABRICATED, {"question", "response"}),
        ):
            if set(rubric.labels) != set(labels):
                raise ValueError(f"{name}: labels must be {', '.join(labels)}")
            if rubric.places != places:
                wanted = ", ".join(sorted(f"{{{place}}}" for place in places))
                raise ValueError(f"{name}: prompt must have the places {wanted} and no others")

    def check(self) -> None:
        self.endpoint.check()

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        found: dict[int, Judgement] = {}
        for answerable, rubric, meaning in ((True, self.answerable, ANSWERABLE), (False, self.fabricated, FABRICATED)):
            grader = Grader(endpoint=self.endpoint, rubric=rubric)
            places = [n for n, (question, _) in enumerate(pairs) if question.answerable is answerable]
            asked = [n for n in places if pairs[n][1].text.strip()]
            grades = grader.grade([_texts(*pairs[n]) for n in asked], f"judged by {self.endpoint.model}")
            given = dict(zip(asked, grades, strict=True))
            empty = Grade(label=None, reason="empty response")
            for n in places:
                grade = given.get(n, empty)
                verdict = Verdict.UNJUDGED if grade.label is None else meaning[grade.label.casefold()]
                found[n] = judgement(pairs[n], (verdict, grade.reason[:REASON_SHOWN]), f"llm/{grader.name}")
        return tuple(found[n] for n in range(len(pairs)))


def _texts(question: Question, response: Response) -> Mapping[str, Any]:
    """Aliases that differ only in case, punctuation or articles are given once."""
    answers = {tuple(normal_words(answer)): answer for answer in reversed(question.answers)}
    return {"question": question.text, "answers": list(reversed(answers.values())), "response": response.text}
