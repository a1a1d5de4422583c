"""The rule judge: does the response state a gold answer, refuse, or neither?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar, Literal

from hneuro.records import Judgement, Question, Verdict
from hneuro.verdicts.base import Pair
from hneuro.verdicts.refusal import RefusalDetector
from hneuro.verdicts.words import normal_words, places

NEGATIONS = {"not", "never", "neither", "nor"}
SHORT_NEGATIONS = {"isn", "wasn", "aren", "weren"}  # "isn't" is two words
BETWEEN = {"in", "at", "on", "of", "from", "by", "to", "be", "it", "called", "named"}  # a negation and what it denies

Words = list[str]


@dataclass(frozen=True, kw_only=True)
class RuleJudge:
    """Correct if the response states a gold alias, refused if it says so, else wrong.

    `match`: "contains": the alias stands in it as whole words (the paper's rule); "strict": beside it only `fillers`;
    "exact": it is all there is. Numbers and dates are equal in all their forms.

    A rule cannot say what a response means that denies a gold answer, states one among more than `most_other_words`
    others, or (strict) says anything beyond it: it is unjudged. With `unstated` = "unjudged" so is one that states no
    gold answer, which may say it in other words: for another judge to read.

    Where the question has `candidates`, a response that was cut off before it named any of them is unjudged as well,
    and a gold answer inside the longer name of another one does not count: Papua New Guinea is not Guinea.
    """

    match: Literal["contains", "strict", "exact"] = "contains"
    most_other_words: int = 60
    unstated: Literal["wrong", "unjudged"] = "wrong"
    fillers: tuple[str, ...] = (
        "answer", "correct", "right", "it", "its", "it's", "that", "this", "they", "he", "she", "is", "was", "are",
        "were", "be", "been", "the", "a", "an", "of", "in", "on", "at", "by", "to", "for", "from", "with", "so", "well",
        "sure", "yes", "would", "called", "named", "known", "as",
    )  # fmt: skip
    refusal: RefusalDetector = field(default_factory=RefusalDetector)
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.most_other_words < 0:
            raise ValueError("most_other_words must not be negative")

    def check(self) -> None:
        """It needs nothing."""

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        known: dict[tuple[str, str, str, bool], tuple[Verdict, str]] = {}
        found = []
        for question, response in pairs:
            same = (question.dataset, question.id, response.text, response.truncated)  # of ten samples most are
            if same not in known:
                known[same] = self._verdict(question, response.text, response.truncated)
            verdict, reason = known[same]
            found.append(
                Judgement(
                    question_id=question.id,
                    sample=response.sample,
                    verdict=verdict,
                    judge=f"rule/{self.match}",
                    reason=reason,
                )
            )
        return tuple(found)

    def _verdict(self, question: Question, text: str, truncated: bool) -> tuple[Verdict, str]:
        words, aliases = normal_words(text), _aliases(question.answers)
        if not words:
            return Verdict.UNJUDGED, "empty response"
        if question.answerable and not aliases:
            return Verdict.UNJUDGED, "no gold answer to compare with"
        others = _others(words, question, aliases)
        stated = {tuple(alias): _not_inside(others, places(words, alias), len(alias)) for alias in aliases}
        stated = {alias: found for alias, found in stated.items() if found}
        if stated:
            alias = max(stated, key=len)
            if all(denied(words, place) for found in stated.values() for place in found):
                return Verdict.UNJUDGED, "a gold answer behind a negation"
            return self._stating(words, list(alias), stated[alias][0])
        refusal = self.refusal.find(text)
        if refusal and (refusal.kind == "refuses" or not question.answerable):
            if refusal.goes_on:
                return Verdict.UNJUDGED, "a refusal that goes on"
            return Verdict.REFUSED, f"{refusal.kind}: {refusal.words!r}"
        if truncated and question.candidates and not others:
            return Verdict.UNJUDGED, "cut off before it states an answer"
        if self.unstated == "unjudged":
            return Verdict.UNJUDGED, "no gold answer stated"
        return Verdict.WRONG, "no gold answer stated" if question.answerable else "answers about what does not exist"

    def _stating(self, words: Words, alias: Words, place: int) -> tuple[Verdict, str]:
        others = words[:place] + words[place + len(alias) :]
        correct = Verdict.CORRECT, f"states {' '.join(alias)!r}"
        if self.match == "exact":
            if not others:
                return correct
            unsure = self.unstated == "unjudged"
            return (Verdict.UNJUDGED if unsure else Verdict.WRONG), "says more than a gold answer"
        if self.match == "strict" and not set(others) <= self._fillers:
            return Verdict.UNJUDGED, "says more than a gold answer"
        if len(others) > self.most_other_words:
            return Verdict.UNJUDGED, "a gold answer among many other words"
        return correct

    @cached_property
    def _fillers(self) -> set[str]:
        return {word for filler in self.fillers for word in normal_words(filler)}


@lru_cache(maxsize=4096)
def _aliases(answers: tuple[str, ...]) -> list[Words]:
    return [words for answer in answers if (words := normal_words(answer))]


Stated = list[tuple[int, int]]  # [start, stop) of words


def _others(words: Words, question: Question, aliases: list[Words]) -> Stated:
    """Where the response names an answer of the right kind that is not a right one."""
    names, longest = _candidates(question.candidates)
    right = {tuple(alias) for alias in aliases}
    return [
        (start, stop)
        for start in range(len(words))
        for stop in range(start + 1, min(start + longest, len(words)) + 1)
        if (said := tuple(words[start:stop])) in names and said not in right
    ]


def _not_inside(others: Stated, found: list[int], length: int) -> list[int]:
    return [n for n in found if not any(a <= n and n + length <= b and length < b - a for a, b in others)]


@lru_cache(maxsize=64)
def _candidates(names: tuple[str, ...]) -> tuple[frozenset[tuple[str, ...]], int]:
    words = frozenset(tuple(normal_words(name)) for name in names) - {()}
    return words, max(map(len, words), default=0)


def denied(words: Words, place: int) -> bool:
    """Whether what begins at this place is behind a negation: "not in Paris"."""
    while place and words[place - 1] in BETWEEN:
        place -= 1
    before = words[max(0, place - 2) : place]
    return bool(before) and (before[-1] in NEGATIONS or (before[0] in SHORT_NEGATIONS and before[-1] == "t"))
