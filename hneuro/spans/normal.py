"""Texts compared without case, accents, quotes and blanks, and every match mapped back to its characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import regex

from hneuro.questions.base import ARTICLES
from hneuro.spans.tokens import Range
from hneuro.verdicts.words import KOREAN, NO_BLANKS

Occurrence = Literal["first", "last", "all"]
ACCENTS = dict.fromkeys(range(0x300, 0x370))
QUOTES = dict.fromkeys(map(ord, '"`´‘’‚‛“”„‟′″‹›«»「」『』'), "'")
DASHES = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
FOLDED = {**ACCENTS, **QUOTES, **DASHES}
INVISIBLE = ("Cf", "Cc")  # joiners, marks of direction
WORD = regex.compile(rf"{NO_BLANKS.pattern}|(?:(?!{NO_BLANKS.pattern})\S)+")


@dataclass(frozen=True, slots=True)
class Word:
    """A folded word of a text, without punctuation, and its characters [start, stop)."""

    text: str
    start: int
    stop: int


def folded(text: str) -> tuple[str, list[Range]]:
    """Without case, accents, kinds of quotes and dashes, and with single blanks; and the place of each character."""
    found: list[tuple[str, Range]] = []
    for start, stop in _characters(text):
        for c in unicodedata.normalize("NFKD", text[start:stop]).translate(FOLDED).casefold():
            if c.isspace():
                if found and found[-1][0] != " ":
                    found.append((" ", (start, stop)))
            elif unicodedata.category(c) not in INVISIBLE:
                found.append((c, (start, stop)))
    while found and found[-1][0] == " ":
        found.pop()
    return "".join(c for c, _ in found), [place for _, place in found]


def words_at(text: str) -> list[Word]:
    """Letters, digits and marks in a row; "O'Neill" is two words. Characters of scripts without blanks are words."""
    found = []
    for start, stop in pairwise([0, *(m.start() for m in KOREAN.finditer(text)), len(text)]):
        fold, places = folded(text[start:stop])
        kept = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in fold)
        for m in WORD.finditer(kept):
            found.append(Word(m[0], start + places[m.start()][0], start + places[m.end() - 1][1]))
    return found


def find(wanted: str, text: str) -> list[Range]:
    """Where `wanted` is in `text`, in order: exactly, or else folded, or else with the same words.

    Whole words win over parts of words: "art" in "Bonaparte, art" is the second one.
    """
    return find_text(wanted, text) or _find_words(wanted, text)


def find_text(wanted: str, text: str) -> list[Range]:
    """As `find`, but with all punctuation in its place."""
    if exact := _whole(text, _places(wanted, text)):
        return exact
    (needle, _), (hay, places) = folded(wanted), folded(text)
    return [(places[start][0], places[stop - 1][1]) for start, stop in _whole(hay, _places(needle, hay))]


def chosen(found: Sequence[Range], occurrence: Occurrence) -> list[Range]:
    if occurrence == "all":
        return list(found)
    return list(found[:1] if occurrence == "first" else found[-1:])


def _find_words(wanted: str, text: str) -> list[Range]:
    """Whole words in a row, articles aside; occurrences do not overlap."""
    alias = [word.text for word in words_at(wanted) if word.text not in ARTICLES]
    words = [word for word in words_at(text) if word.text not in ARTICLES]
    found: list[Range] = []
    place = 0
    while alias and place + len(alias) <= len(words):
        row = words[place : place + len(alias)]
        if [word.text for word in row] == alias:
            found.append((row[0].start, row[-1].stop))
            place += len(alias)
        else:
            place += 1
    return found


def _places(wanted: str, text: str) -> list[Range]:
    return [m.span() for m in re.finditer(re.escape(wanted), text)] if wanted else []


def _whole(text: str, found: list[Range]) -> list[Range]:
    """Those that begin and end where words do, if there are any. Scripts without blanks have no such places."""

    def inside(place: int) -> bool:
        return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()

    return [(a, b) for a, b in found if not inside(a) and not inside(b)] or found


def _characters(text: str) -> Iterator[Range]:
    """[start, stop) of each letter with its combining marks, and of each Korean syllable however it is written."""
    start = 0
    for n in range(1, len(text) + 1):
        if n == len(text) or not _combines(text[n]):
            yield start, n
            start = n


def _combines(c: str) -> bool:
    return unicodedata.category(c)[0] == "M" or "\u1160" <= c <= "\u11ff"
