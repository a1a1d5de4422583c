"""The rule judge: does the response state a gold answer, refuse, or neither?"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from hneuro.records import Judgement, Question, Response, Verdict

PUNCTUATION = str.maketrans({c: " " for c in string.punctuation + "‘’´`“”"})
ARTICLES = {"a", "an", "the"}


@runtime_checkable
class Judge(Protocol):
    """The part behind `judge`."""

    def judge(self, question: Question, response: Response) -> Judgement:
        """UNJUDGED, with a reason, where it cannot say; never a guess."""


def normal_words(text: str) -> list[str]:
    """Lower case, without punctuation and articles (the paper's normalisation), as words."""
    return [w for w in text.lower().translate(PUNCTUATION).split() if w not in ARTICLES]


def states(words: Sequence[str], alias: Sequence[str]) -> bool:
    """Whether `alias` stands in `words` as whole words in a row: "art" is not in "bonaparte"."""
    return any(list(words[n : n + len(alias)]) == list(alias) for n in range(len(words) - len(alias) + 1))


@dataclass(frozen=True, kw_only=True)
class RuleJudge:
    """Correct if a gold alias is contained (`contains`) or is all there is (`exact`); refused if it says so."""

    match: Literal["contains", "exact"] = "contains"
    refusals: tuple[str, ...] = (
        r"\bi (do not|don ?t|cannot|can ?t) (know|answer|say|tell)",
        r"\b(not provided|no information|unknown|not sure|no idea)\b",
        r"\bunable to\b",
    )

    def judge(self, question: Question, response: Response) -> Judgement:
        words = normal_words(response.text)
        verdict, reason = self._verdict(question, words)
        return Judgement(
            question_id=question.id, sample=response.sample, verdict=verdict, judge=f"rule/{self.match}", reason=reason
        )

    def _verdict(self, question: Question, words: list[str]) -> tuple[Verdict, str]:
        if not words:
            return Verdict.UNJUDGED, "empty response"
        for alias in (normal_words(a) for a in question.answers):
            if alias and (words == alias if self.match == "exact" else states(words, alias)):
                return Verdict.CORRECT, f"states {' '.join(alias)!r}"
        text = " ".join(words)
        if any(re.search(pattern, text) for pattern in self.refusals):
            return Verdict.REFUSED, "refusal"
        return Verdict.WRONG, "no gold answer stated" if question.answerable else "answers about what does not exist"
