"""Numbers as one word each, whichever way they were written: two = 2, twenty-first = 21st, 1.5 million = 1500000.

Two different numbers never become the same word. Where a form is ambiguous (1.000, or twenty twenty) it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

BREAK = "|"  # stands among the words where punctuation parted them: no number reaches across it
REIGN = "\ue000"  # stands for "the" between a name and an ordinal: Louis the Fourteenth = Louis XIV

UNITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINAL_UNITS = ("zeroth", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
ORDINAL_TEENS = (
    "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
    "nineteenth",
)  # fmt: skip
ORDINAL_TENS = tuple(word[:-1] + "ieth" for word in TENS)

ONES = {word: n for n, word in enumerate(UNITS)}
SMALL = ONES | {word: 10 + n for n, word in enumerate(TEENS)}
DECADES = {word: 20 + 10 * n for n, word in enumerate(TENS)}
ORDINAL_ONES = {word: n for n, word in enumerate(ORDINAL_UNITS)}
ORDINALS = ORDINAL_ONES | {word: 10 + n for n, word in enumerate(ORDINAL_TEENS)}
ORDINAL_DECADES = {word: 20 + 10 * n for n, word in enumerate(ORDINAL_TENS)}
LARGE = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}

DIGITS = re.compile(r"\d+(\.\d+)?")
ORDINAL = re.compile(r"(\d+)(st|nd|rd|th)")


def with_numbers(words: Sequence[str]) -> list[str]:
    """The same words, every number among them as one word of digits, every ordinal as digits with its ending."""
    found: list[str] = []
    place = 0
    while place < len(words):
        negative = words[place] == "minus"
        start = place + negative
        value, ordinal, stop = _number(words, start)
        if stop == start:
            found += [words[place]] * (words[place] != REIGN)
            place += 1
            continue
        if words[place - 1 : place] == [REIGN]:
            word, ordinal = _plain(value), False
        elif ordinal:
            word = _ordinal(int(value))
        else:
            word = _plain(value) if stop - start > 1 else _alone(words[start], value)
        found += [f"-{word}"] if negative and not ordinal else [*words[place:start], word]
        place = stop
    return found


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _alone(word: str, value: Decimal) -> str:
    """007 is no 7. In 1.000 the point may part thousands, and the number be 1 or 1000."""
    if not word[0].isdigit():
        return _plain(value)
    fraction = word.partition(".")[2]
    return word.rstrip("0").rstrip(".") if fraction and len(fraction) != 3 else word


def _ordinal(value: int) -> str:
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{value}th" if value % 100 in (11, 12, 13) else f"{value}{endings.get(value % 10, 'th')}"


def _number(words: Sequence[str], start: int) -> tuple[Decimal, bool, int]:
    """The longest number that begins at `start`: its value, whether it is an ordinal, and where it ends."""
    if start < len(words) and (written := ORDINAL.fullmatch(words[start])):
        return Decimal(written[1]), True, start + 1
    total, place, limit = Decimal(0), start, 10**15
    while True:
        begin = place
        if place > start and words[place : place + 1] == ["and"]:
            begin += 1
        value, ordinal, stop = _below_thousand(words, begin)
        size = LARGE.get(words[stop], 1) if stop < len(words) and not ordinal else 1
        if place == start and stop == begin and size > 1:  # "thousand" alone is one of them
            value = Decimal(1)
        elif stop == begin:
            return total, False, place
        if size == 1:  # two million three is 2000003, but in "2 million 3" digits begin another number
            fits = place == start or (value < limit and not words[begin][0].isdigit())
            return (total + value, ordinal, stop) if fits else (total, False, place)
        if size >= limit or (value * size) % 1:
            return (total, False, place) if place > start else (value, False, stop)
        total, place, limit = total + value * size, stop + 1, size


def _below_thousand(words: Sequence[str], start: int) -> tuple[Decimal, bool, int]:
    """A number below 1000 in words, or any one in digits, which may count hundreds."""
    value, ordinal, stop = _below_hundred(words, start)
    if ordinal or words[stop : stop + 1] != ["hundred"] or value >= 100 or value % 1:
        return value, ordinal, stop
    value, stop = (value if stop > start else Decimal(1)) * 100, stop + 1
    begin = stop + (words[stop : stop + 1] == ["and"])
    more, ordinal, end = _below_hundred(words, begin)
    if end > begin and more < 100 and not words[begin][0].isdigit():
        return value + more, ordinal, end
    return value, False, stop


def _below_hundred(words: Sequence[str], start: int) -> tuple[Decimal, bool, int]:
    if start >= len(words):
        return Decimal(0), False, start
    word = words[start]
    following = words[start + 1] if start + 1 < len(words) else BREAK
    if DIGITS.fullmatch(word):
        return Decimal(word), False, start + 1
    if word in DECADES:
        if following in ONES and following != "zero":
            return Decimal(DECADES[word] + ONES[following]), False, start + 2
        if following in ORDINAL_ONES and following != "zeroth":
            return Decimal(DECADES[word] + ORDINAL_ONES[following]), True, start + 2
        return Decimal(DECADES[word]), False, start + 1
    if word in SMALL:
        return Decimal(SMALL[word]), False, start + 1
    if word in ORDINALS or word in ORDINAL_DECADES:
        return Decimal((ORDINALS | ORDINAL_DECADES)[word]), True, start + 1
    return Decimal(0), False, start
