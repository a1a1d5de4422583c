"""Does a response refuse to answer, or say that what it was asked about does not exist?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["refuses", "corrects"]

APOSTROPHES = re.compile(r"[’‘ʼ`´]")
OTHERS = re.compile(r"[^\w']+")
FIRST = 30  # words of an answer, in which it declines if it does
DECLINES = re.compile(
    r"\bi (can't|cannot|can not|won't|will not|am unable to|am not able to|must decline to|do not|don't) "
    r"(\w+ )?(help|assist|provide|do that|comply|discuss|share|answer|give|support)\b"
    r"|\bagainst (my|the) (\w+ )?(policy|policies|guidelines|principles|programming)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """`refuses`: gives no answer; `corrects`: denies what the question takes for granted."""

    kind: Kind
    words: str  # the ones that say so
    goes_on: bool  # "I am not sure, but it may be Paris"


@dataclass(frozen=True, kw_only=True)
class RefusalDetector:
    """Regular expressions over the response in lower case, with straight apostrophes and no other punctuation.

    `refusing`: no answer is given. `correcting`: there is no such thing. `going_on`: whatever follows such words in a
    response that refuses is an answer after all. (The published code: "don't know", "cannot", "not provided",
    "no information", as parts of words.)
    """

    refusing: tuple[str, ...] = (
        r"\bi (do not|don't|don t|cannot|can't|can t|can not|am unable to|couldn't|could not) "
        r"(\w+ly )?(know|answer|say|tell|find|identify|determine|provide|verify|confirm|recall|access)\b",
        r"\b(i'm|i am|we are|we're) (not sure|not certain|not aware|not familiar|unsure|uncertain|unable)\b",
        r"\b(no|not have|don't have|without|lack|insufficient|not enough) (any |enough |reliable |specific |such )?"
        r"(information|data|knowledge|record|records|idea|clue)\b",
        r"\b(not|isn't|wasn't) (provided|specified|mentioned|available|publicly known|known to me)\b",
        r"\b(it|that|this|answer) (is|was) (not known|unknown)\b",
        r"\bunable to\b",
        r"^(the )?(answer|it)? ?(is )?(unknown|not known|uncertain|unclear|none known|n a)$",
    )
    correcting: tuple[str, ...] = (
        r"\bthere (is|was|are|were) (no|not any) (such|known|real|record|evidence|person|place|drug|animal|plant)\b",
        r"\b(does not|doesn't|do not|don't|did not|didn't|never) (actually |really )?exist(ed)?\b",
        r"\b(no such|non existent|nonexistent|made up|fabricated|imaginary|invented name)\b",
        r"\b(is|was|are|were|be|seems|appears) (\w+ )?(a |an )?(\w+ )?(fictional|fictitious|hypothetical|hoax)\b",
        r"\b(is|are|was|were) not (a |an )?(\w+ )?(real|actual|known|recognized|recognised|established)\b",
        r"\b(isn't|aren't|wasn't|weren't) (a |an )?(\w+ )?(real|actual|known|recognized|recognised|established)\b",
        r"\b(could not|couldn't|cannot|can't|did not|didn't) find\b",
        r"\b(false|incorrect|mistaken) premise\b",
    )
    going_on: tuple[str, ...] = (
        r"\b(but|however|although|though|nevertheless)\b",
        r"\b(my|best|educated) guess\b",
        r"\b(probably|possibly|perhaps|maybe|most likely)\b",
        r"\bi (think|believe|suspect|guess)\b",
    )

    def __post_init__(self) -> None:
        for name in ("refusing", "correcting", "going_on"):
            for pattern in getattr(self, name):
                try:
                    re.compile(pattern)
                except re.error as fault:
                    raise ValueError(f"{name}: {pattern!r} is no regular expression ({fault})") from fault

    def find(self, response: str) -> Refusal | None:
        """A refusal before a correction where it is both."""
        text = plain(response)
        kinds: tuple[tuple[Kind, Sequence[str]], ...] = (("refuses", self.refusing), ("corrects", self.correcting))
        for kind, patterns in kinds:
            if said := _first(patterns, text):
                goes_on = _first(self.going_on, text[: said.start()] + text[said.end() :]) is not None
                return Refusal(kind=kind, words=said[0].strip(), goes_on=goes_on)
        return None


def declines(text: str) -> bool:
    """Whether its first words say, as an assistant does of itself, that it will not do what it was asked."""
    return DECLINES.search(opening(text)) is not None


def opening(text: str) -> str:
    return " ".join(plain(text).split()[:FIRST])


def plain(text: str) -> str:
    """ "I don’t know!" -> "i don't know"."""
    return OTHERS.sub(" ", APOSTROPHES.sub("'", text)).casefold().strip()


def _first(patterns: Sequence[str], text: str) -> re.Match[str] | None:
    found = [match for pattern in patterns if (match := re.search(pattern, text))]
    return min(found, key=lambda match: match.start(), default=None)
