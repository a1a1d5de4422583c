"""A judge of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hneuro.records import Judgement, Verdict
from hneuro.verdicts.base import Pair


@dataclass(frozen=True, kw_only=True)
class FirstWordJudge:
    """Correct if the response begins with the first word of a gold answer. What is empty is unjudged, not wrong."""

    refusals: tuple[str, ...] = ("unknown", "sorry")
    letters: ClassVar[bool] = False

    def check(self) -> None:
        """It needs nothing: no key, no file."""

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        found = []
        for question, response in pairs:
            first = next(iter(response.text.casefold().split()), "")
            gold = {answer.casefold().split()[0] for answer in question.answers if answer.strip()}
            verdict, reason = Verdict.WRONG, f"{first!r} begins no gold answer"
            if not first:
                verdict, reason = Verdict.UNJUDGED, "empty: the response has no word"
            elif any(word in response.text.casefold() for word in self.refusals):
                verdict, reason = Verdict.REFUSED, "it says that it does not know"
            elif first in gold:
                verdict, reason = Verdict.CORRECT, f"{first!r} begins a gold answer"
            found.append(
                Judgement(
                    question_id=question.id, sample=response.sample, verdict=verdict, judge="first_word", reason=reason
                )
            )
        return tuple(found)
