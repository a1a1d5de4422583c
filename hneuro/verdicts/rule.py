"""The rule judge: does the response state a gold answer, refuse, or neither?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import ClassVar, Literal

from hneuro.records import Judgement, Question, Verdict
from hneuro.verdicts.asserted import Find, Place, Words, asserts, finder, words_of
from hneuro.verdicts.base import Pair, Said, judgement, word_list
from hneuro.verdicts.refusal import RefusalDetector
from hneuro.verdicts.words import NO_BLANKS, NORMAL_FORM, key, normal_words

TAGS = r"think|thinking|thought|thoughts|reasoning|seed:think"
OPENED = re.compile(rf"\s*(?:[<\[◁](?:{TAGS})[>\]▷]|<\|START_THINKING\|>)", flags=re.IGNORECASE)
CLOSED = re.compile(rf".*(?:[<\[◁]/(?:{TAGS})[>\]▷]|<\|END_THINKING\|>)", flags=re.IGNORECASE | re.DOTALL)
# Harmony's channels, with their marks or without: "analysisWe need ...assistantfinalfour".
CHANNEL = re.compile(
    r"\s*(?:(?:<\|start\|>assistant)?<\|channel\|>\w+|(?:assistant)?(?:analysis|commentary)(?=[A-Z])|assistantfinal)"
)
FINAL = re.compile(r".*(?:<\|channel\|>final(?: [^<]*)?<\|message\|>|assistantfinal)", flags=re.DOTALL)
WATERS = frozenset(word_list("waters"))
END = re.compile(r"<\|(?:return|end)\|>")


@dataclass(frozen=True, kw_only=True)
class RuleJudge:
    """Correct if the response states a gold alias, refused if it says so, else wrong.

    `match`: "contains": it has the alias as whole words (the paper's rule); "strict": with only `fillers` around
    it; "exact": it is all there is. Numbers and dates are equal in all their forms.

    A rule cannot say what a response means that states a gold answer, but denies it or has it inside a longer name,
    states one among more than `most_other_words` others, or (strict) says anything beyond it: it is unjudged. So is one
    that was cut off within its reasoning, before the answer. With `unstated` = "unjudged" so is one that states
    no gold answer, which may say it in other words: for another judge to read.

    Where the question has `candidates`, a response that was cut off before it named any of them is unjudged as well,
    and a gold answer inside the longer name of another one does not count: Papua New Guinea is not Guinea.
    """

    match: Literal["contains", "strict", "exact"] = "contains"
    most_other_words: int = 60
    unstated: Literal["wrong", "unjudged"] = "wrong"
    fillers: tuple[str, ...] = word_list("fillers")
    refusal: RefusalDetector = field(default_factory=RefusalDetector)
    normal_form: int = field(init=False, default=NORMAL_FORM)
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.most_other_words < 0:
            raise ValueError("most_other_words must not be negative")

    def check(self) -> None:
        """It needs nothing."""

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        known: dict[tuple[str, str, str, bool], Said] = {}
        found = []
        for question, response in pairs:
            same = (question.dataset, question.id, response.text, response.truncated)  # of ten samples most are
            if same not in known:
                known[same] = self._verdict(question, response.text, response.truncated)
            found.append(judgement((question, response), known[same], f"rule/{self.match}"))
        return tuple(found)

    def _verdict(self, question: Question, text: str, truncated: bool) -> Said:
        part = answer_part(text)
        if part is None:
            return Verdict.UNJUDGED, "cut off within its thoughts"
        text = text[slice(*part)].strip()
        words, aliases = normal_words(text), _aliases(question.answers)
        if not words:
            return Verdict.UNJUDGED, "empty response"
        if question.answerable and not aliases:
            return Verdict.UNJUDGED, "no gold answer to compare with"
        others = _others(words, question, aliases)
        stated = [place for place in _find(question.answers)(words, text) if not _inside(place, others)]
        why_not = _why_not_said(text, words, question, stated) if stated else ""
        if stated and not why_not:
            return self._stating(words, max(stated, key=lambda place: place[1] - place[0]))
        refusal = self.refusal.find(text)
        if refusal and (refusal.kind == "refuses" or not question.answerable):
            if refusal.goes_on:
                return Verdict.UNJUDGED, "a refusal that goes on"
            return Verdict.REFUSED, f"{refusal.kind}: {refusal.words!r}"
        if stated:
            return Verdict.UNJUDGED, why_not
        if truncated and question.candidates and not others:
            return Verdict.UNJUDGED, "cut off before it states an answer"
        if self.unstated == "unjudged":
            return Verdict.UNJUDGED, "no gold answer stated"
        return Verdict.WRONG, "no gold answer stated" if question.answerable else "answers about what does not exist"

    def _stating(self, words: Words, place: Place) -> Said:
        others = words[: place[0]] + words[place[1] :]
        correct = Verdict.CORRECT, f"states {' '.join(words[slice(*place)])!r}"
        if self.match == "exact":
            if not others:
                return correct
            unsure = self.unstated == "unjudged"
            return (Verdict.UNJUDGED if unsure else Verdict.WRONG), "says more than a gold answer"
        if self.match == "strict" and not set(others) <= self._fillers:
            return Verdict.UNJUDGED, "says more than a gold answer"
        # A word has about two characters where each is one of its own.
        if sum(0.5 if NO_BLANKS.fullmatch(word) else 1 for word in others) > self.most_other_words:
            return Verdict.UNJUDGED, "a gold answer among many other words"
        return correct

    @cached_property
    def _fillers(self) -> set[str]:
        return {word for filler in self.fillers for word in normal_words(filler)}


@lru_cache(maxsize=4096)
def _aliases(answers: tuple[str, ...]) -> frozenset[str]:
    return frozenset(key(words_of(answer)) for answer in answers) - {""}


@lru_cache(maxsize=4096)
def _find(answers: tuple[str, ...]) -> Find:
    return finder(answers)


def _others(words: Words, question: Question, aliases: frozenset[str]) -> list[Place]:
    """Where the response names an answer of the right kind that is not a right one."""
    names, longest = _candidates(question.candidates)
    return [
        (start, stop)
        for start in range(len(words))
        for stop in range(start + 1, min(start + longest, len(words)) + 1)
        if (said := key(words[start:stop])) in names and said not in aliases
    ]


def _inside(place: Place, others: list[Place]) -> bool:
    return any(a <= place[0] and place[1] <= b and (a, b) != place for a, b in others)


@lru_cache(maxsize=64)
def _candidates(names: tuple[str, ...]) -> tuple[frozenset[str], int]:
    words = [normal_words(name) for name in names]
    return frozenset(map(key, words)) - {""}, max(map(len, words), default=0)


def _why_not_said(text: str, words: Words, question: Question, stated: list[Place]) -> str:
    """Why a response does not say the gold answer that stands in it; empty where it does."""
    if all(_in_water(words, place) for place in stated):
        return "a gold answer inside the name of a sea"
    if not question.candidates and all(_in_a_name(text, words, place) for place in stated):
        return "a gold answer inside a longer name"
    # "I am not sure, Paris?" is an answer.
    said = asserts(text.rstrip("?？ "), _find(question.answers), question.text)
    return "" if said else "a gold answer that is denied or compared with"


def _in_water(words: Words, place: Place) -> bool:
    """China of the South China Sea, Mexico of the Gulf of Mexico."""
    start, stop = place
    before = words[start - 1 : start] == ["of"] and words[max(0, start - 2) : start - 1]
    return any(part and part[0] in WATERS for part in (before, words[stop : stop + 1]))


def _in_a_name(text: str, words: Words, place: Place) -> bool:
    """York of New York. What else makes another name of a name, as in South Korea, also names its parts."""
    return words[max(0, place[0] - 1) : place[0]] == ["new"] and "New" in text


def answer_part(text: str) -> tuple[int, int] | None:
    """The characters [start, stop) after the reasoning, if there is any; None where the text ends within it."""
    if CHANNEL.match(text):
        final = FINAL.match(text)
    else:
        final = CLOSED.match(text)
        if final is None and not OPENED.match(text):
            return 0, len(text)
    if final is None:
        return None
    end = END.search(text, final.end())
    return final.end(), end.start() if end else len(text)
