"""The normal form of texts, in which the rule judge and the span finders compare them.

No case, accents, punctuation, articles and symbols but those that distinguish (C# is not C++); letters of the Latin
alphabet as ASCII; numbers, dates, initials and Roman numerals in one form; characters of scripts without blanks as
words of their own. Two runs of words are the same where they have the same `key`: Spider-Man = Spiderman.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

import regex
from anyascii import anyascii
from roman_numerals import InvalidRomanNumeralError, RomanNumeral

from hneuro.questions.base import ARTICLES
from hneuro.verdicts.numbers import BREAK, REIGN, iso_dates_spelt, with_dates, with_numbers

NORMAL_FORM = 3  # in the keys of stages whose output depends on it
BREAKS = set(",;:!?()[]\n、。，；：！？（）「」『』")

GROUPED = regex.compile(r"(?<![\d.,])\d{1,3}(,\d{3})+(?!\d|,\d)")  # 1,000,000
DECADE = regex.compile(r"(?<=\d)['’ʼ`](?=s\b)")  # 1990's
NO_ZERO = regex.compile(r"(?<![\w.])\.(?=\d)")  # .5
POINT = regex.compile(r"(?<=\d)\.(?=\d)")  # 3.5
UNIT = regex.compile(  # 100km; but not B52, 2Pac or 4x4
    r"(?<=\d)(?=(percent|per cent|hundred|thousand|million|billion|trillion|[kcm]?m|km/h|[km]?g|m?l|mph|ft|lbs?|feet|"
    r"inch(es)?|miles?|met(er|re)s?|years?|months?|weeks?|days?|hours?|minutes?|degrees?)\b)",
    flags=regex.IGNORECASE,
)
FRACTION = regex.compile(r"(?<![\d/.])\d{1,2}(/)\d{1,2}(?![\d/])")  # 1/2, but not 7/4/1776
INITIALS = regex.compile(r"(?<!\w)\p{L}(\.\p{L})+(?!\w)\.?|(?<!\w)(\p{Lu}\.\s?)+\p{Lu}\.")  # U.S., J. K., p.m.
ROMAN = regex.compile(r"(?<=\p{Lu}\p{L}+ )[IVXLCM]+\b(?!['’])")  # Louis XIV
NTH = regex.compile(r"(?<=\p{Lu}\p{L}+ )the (?=(\p{Lu}\p{L}*(st|nd|rd|th)|\d+(st|nd|rd|th))\b(?! \p{Lu}))")
SHARP = regex.compile(r"(?<=\b[A-G])([ -]sharp\b|♯)")
PLUS = regex.compile(r"(?<=\b\p{Lu}) plus plus\b", flags=regex.IGNORECASE)
GRADE = regex.compile(r"(?<=\b\p{Lu}\p{L}?)(#|\+\+)(?![\w+#])")  # C#, C++
SIGN = regex.compile(r"(?<=\p{L})\+(?![\w+])|(?<=\b\p{Lu}{1,2})[-−](?!\w)")  # Na+, Disney+, A-
BLANK, DIGITS = regex.compile(r"(?<!\d) | (?!\d)"), regex.compile(r"\d")
KOREAN = regex.compile(
    r"(?<=[가-힣]{2})(?=(입니다|이다|이에요|예요|에서|에게|으로|로|은|는|이|가|을|를|의|에|와|과|도)(?![가-힣]))"
)
NO_BLANKS = regex.compile(r"([\p{Han}\p{Hiragana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*)")
ACCENTS = regex.compile(r"(?V1)[[\p{Mn}&&[\p{Inherited}\p{Hebrew}\p{Arabic}]]--[\u3099\u309a]]")  # not of ガ
LATIN = regex.compile(r"(?V1)[\p{Latin}--\p{ASCII}]+")
GREEK = regex.compile(r"(?<!\p{Greek}\p{M}*)[\p{Greek}µ](?!\p{M}*\p{Greek})")
NAMED = ("", "plus", "minus")  # after an article that is part of a name
AS_WORDS = {"&": " and ", "＆": " and ", "×": "x", "…": " "}
PERCENT = {("percent",), ("pct",), ("per", "cent"), ("prozent",), ("pour", "cent"), ("por", "ciento")}


def normal_words(text: str) -> list[str]:
    """The words of a text in their normal form. An article at the end is part of a name: vitamin A is not C, nor A+."""
    words = plain_words(text)
    kept = [w for w, after in zip(words, [*words, ""][1:], strict=True) if w not in ARTICLES or after in NAMED]
    return with_dates(list(_without_percent(with_numbers(kept))))


def key(words: Sequence[str]) -> str:
    """What is the same for runs of words that are: blanks part them no more, but still part numbers."""
    joined = "".join(words)
    return BLANK.sub("", " ".join(words)) if DIGITS.search(joined) else joined


def places(words: Sequence[str], alias: Sequence[str]) -> list[tuple[int, int]]:
    """Where the words of `alias` are in `words`, as [start, stop) of whole words: "art" is not in "bonaparte"."""
    wanted, found = key(alias), []
    for start, word in enumerate(words):
        if not wanted.startswith(word):
            continue
        stop = start + 1
        while stop < len(words) and len(key(words[start:stop])) < len(wanted):
            stop += 1
        if key(words[start:stop]) == wanted:
            found.append((start, stop))
    return found


def states(words: Sequence[str], alias: Sequence[str]) -> bool:
    return bool(places(words, alias))


def plain_words(text: str) -> list[str]:
    """Lower case, without accents, punctuation and symbols, with `BREAK` where punctuation parts words."""
    text = iso_dates_spelt(unicodedata.normalize("NFC", text))
    text = GROUPED.sub(lambda found: found[0].replace(",", ""), text)
    text = UNIT.sub(" ", NO_ZERO.sub("0.", DECADE.sub("", text)))
    text = ROMAN.sub(_arabic, NTH.sub(f"{REIGN} ", without_points(text)))
    text = PLUS.sub("++", SHARP.sub("#", text))
    joints = {n for n, _ in _spans(POINT, text)} | {found.start(1) for found in FRACTION.finditer(text)}
    text = SIGN.sub(lambda found: " plus" if found[0] == "+" else " minus", text)
    joints |= {n for start, stop in _spans(GRADE, text) for n in range(start, stop)}
    text = KOREAN.sub(" ", "".join(_characters(text, joints)))
    text = GREEK.sub(_letter_name, NO_BLANKS.sub(r" \1 ", unicodedata.normalize("NFKD", text).replace("⁄", "/")))
    words = LATIN.sub(_ascii, ACCENTS.sub("", text)).casefold().split()
    while words and words[-1] == BREAK:
        words.pop()
    return words


def without_points(text: str) -> str:
    """U.S. = US, and J. K. = J.K. = JK."""
    return INITIALS.sub(lambda found: regex.sub(r"[.\s]", "", found[0]), text)


def _spans(pattern: regex.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in pattern.finditer(text))


def _arabic(found: regex.Match[str]) -> str:
    try:
        return str(int(RomanNumeral.from_string(found[0])))
    except InvalidRomanNumeralError:
        return str(found[0])


def _letter_name(found: regex.Match[str]) -> str:
    """α as "alpha", where it is not a letter of a Greek word."""
    return f" {unicodedata.name(unicodedata.normalize('NFKD', found[0])[0]).split()[-1]} "


def _ascii(found: regex.Match[str]) -> str:
    return "".join(c for c in anyascii(found[0]) if c.isalnum())


def _characters(text: str, joints: set[int]) -> Iterator[str]:
    """Letters, digits and marks; what belongs to a number or a name; blanks for everything else."""
    for place, character in enumerate(text):
        kind = unicodedata.category(character)
        before = text[place - 1] if place else " "
        if kind == "Nd":
            yield str(unicodedata.decimal(character))
        elif kind == "Nl":  # Ⅳ
            yield str(int(unicodedata.numeric(character)))
        elif kind == "No" and before.isdigit():  # 10² is not 102, and 5½ not 51/2
            yield f" {character}"
        elif place in joints:
            yield character
        elif "ʹ" <= character <= "ˏ":  # Hawaiʻi: letters to Unicode, apostrophes to most who write them
            yield " "
        elif kind[0] in "LNM":
            yield character
        elif character in "-−" and _is_sign(text, place):
            yield "-"
        elif character == REIGN:
            yield REIGN
        else:
            yield AS_WORDS.get(character) or (f" {BREAK} " if character in BREAKS else " ")


def _is_sign(text: str, place: int) -> bool:
    """Whether a dash makes a number negative: it touches the number, and no word or number stands before it."""
    before = text[:place]
    number = text[place + 1 : place + 2].isdigit()
    return number and (not before or before[-1] in " \n(") and not before.rstrip()[-1:].isdigit()


def _without_percent(words: Sequence[str]) -> Iterator[str]:
    """10 percent is 10%, whose symbol is left out like that of a currency."""
    place = 0
    while place < len(words):
        yield words[place]
        is_number = words[place][-1].isdigit()
        place += 1
        if is_number:
            place += max((len(one) for one in PERCENT if tuple(words[place : place + len(one)]) == one), default=0)
