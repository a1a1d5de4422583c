"""The judge of multiple-choice answers: is the letter that of a right option?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from hneuro.questions.options import LETTERS
from hneuro.records import Judgement, Question, Verdict
from hneuro.verdicts.base import Pair, Said, judgement

# "B", " (B)", "B.", and what a model adds to its letter unless it is stopped: "B. Tiber", "B) Tiber".
ANSWER = re.compile(r"\W*([A-Z])(\W*|[.):]\s.*)", flags=re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class LetterJudge:
    """Correct if the letter is that of an option which is a gold answer, wrong if it is that of another option."""

    letters: ClassVar[bool] = True

    def check(self) -> None:
        """It needs nothing."""

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        return tuple(judgement(pair, self._verdict(pair[0], pair[1].text), "letter") for pair in pairs)

    def _verdict(self, question: Question, text: str) -> Said:
        said = ANSWER.fullmatch(text)
        if not said:
            return Verdict.UNJUDGED, "no letter alone"
        letter = said[1]
        right = [LETTERS[n] for n, option in enumerate(question.options) if option in question.answers]
        if letter not in LETTERS[: len(question.options)]:
            return Verdict.UNJUDGED, f"no option has this letter: {letter}"
        if question.answerable and not right:
            return Verdict.UNJUDGED, "no option is a gold answer"
        if letter in right:
            return Verdict.CORRECT, f"{letter} is right"
        return Verdict.WRONG, f"{letter} is not {' or '.join(right)}" if right else "answers about what does not exist"
