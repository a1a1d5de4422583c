"""Does a response refuse to answer, or say that what it was asked about does not exist?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hneuro.verdicts.base import word_list

Kind = Literal["refuses", "corrects"]

APOSTROPHES = re.compile(r"[’‘ʼ`´]")
BARE = re.compile(r"\b(do|does|did|is|was|are|were|ca|wo|could|would|should|has|have|had) ?nt\b")  # "dont know"
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
    response that refuses is an answer after all. The defaults are in words.toml, by language. (The published code:
    "don't know", "cannot", "not provided", "no information", as parts of words.)
    """

    refusing: tuple[str, ...] = word_list("refusing")
    correcting: tuple[str, ...] = word_list("correcting")
    going_on: tuple[str, ...] = word_list("going_on")

    def __post_init__(self) -> None:
        for name in ("refusing", "correcting", "going_on"):
            for pattern in getattr(self, name):
                try:
                    re.compile(pattern)
                except re.error as fault:
                    raise ValueError(f"{name}: {pattern!r} is not a regular expression ({fault})") from fault

    def find(self, response: str) -> Refusal | None:
        """A refusal before a correction where it is both."""
        text = plain(response)
        kinds: tuple[tuple[Kind, Sequence[str]], ...] = (("refuses", self.refusing), ("corrects", self.correcting))
        for kind, patterns in kinds:
            if said := _first(patterns, text):
                return Refusal(kind=kind, words=said[0].strip(), goes_on=self._goes_on(text, patterns))
        return None

    def _goes_on(self, text: str, patterns: Sequence[str]) -> bool:
        """Whether there is more than refusals: "I'm not sure, but I don't know" has none."""
        for pattern in patterns:
            text = re.sub(pattern, " ", text)
        found = _first(self.going_on, text)
        return found is not None and bool((text[: found.start()] + text[found.end() :]).split())


def declines(text: str) -> bool:
    """Whether its first words say, as an assistant does of itself, that it will not do what it was asked."""
    return DECLINES.search(opening(text)) is not None


def opening(text: str) -> str:
    return " ".join(plain(text).split()[:FIRST])


def plain(text: str) -> str:
    """ "I don’t know!" -> "i don't know"."""
    text = unicodedata.normalize("NFC", text)
    return BARE.sub(r"\1n't", OTHERS.sub(" ", APOSTROPHES.sub("'", text)).casefold()).strip()


def _first(patterns: Sequence[str], text: str) -> re.Match[str] | None:
    found = [match for pattern in patterns if (match := re.search(pattern, text))]
    return min(found, key=lambda match: match.start(), default=None)
