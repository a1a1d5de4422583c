"""Numbers as one word each, and dates in one order, whichever way they were written.

Two = 2, twenty-first = 21st, 1.5 million = 1500000; July 4th, 1776 = the 4th of July 1776 = 1776-07-04.
Two different numbers never become the same word. Where a form is ambiguous (1.000, or twenty twenty) it stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from hneuro.verdicts.base import WORDS, word_list

BREAK = "|"  # stands among the words where punctuation parted them: no number reaches across it
REIGN = "\ue000"  # stands for "the" between a name and an ordinal: Louis the Fourteenth = Louis XIV

NUMBERS = {kind: tuple(words.split()) for kind, words in WORDS["numbers"].items()}
MONTHS = word_list("months")

ONES = {word: n for n, word in enumerate(NUMBERS["units"])}
SMALL = ONES | {word: 10 + n for n, word in enumerate(NUMBERS["teens"])}
DECADES = {word: 20 + 10 * n for n, word in enumerate(NUMBERS["tens"])}
ORDINAL_ONES = {word: n for n, word in enumerate(NUMBERS["ordinal_units"])}
ORDINAL_DECADES = {word: 20 + 10 * n for n, word in enumerate(NUMBERS["ordinal_tens"])}
ORDINALS = ORDINAL_ONES | {word: 10 + n for n, word in enumerate(NUMBERS["ordinal_teens"])} | ORDINAL_DECADES
LARGE = {word: 1000 ** (n + 1) for n, word in enumerate(NUMBERS["large"])}
MONTH = {name: name for name in MONTHS} | {name[:3]: name for name in MONTHS} | {"sept": "september"}

DIGITS = re.compile(r"\d+(\.\d+)?")
ORDINAL = re.compile(r"(\d+)(st|nd|rd|th)")
ISO = re.compile(r"(?<![\d-])(\d{4})-(\d{2})-(\d{2})(?![\d-])")
DAY = re.compile(r"(\d{1,2})(st|nd|rd|th)?")


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
    if word in ORDINALS:
        return Decimal(ORDINALS[word]), True, start + 1
    return Decimal(0), False, start


def iso_dates_spelt(text: str) -> str:
    """1776-07-04 as "4 july 1776"; 1776-44-04 is not a date."""

    def spelt(found: re.Match[str]) -> str:
        year, month, day = found[1], int(found[2]), int(found[3])
        return f"{day} {MONTHS[month - 1]} {year}" if 1 <= month <= 12 and 1 <= day <= 31 else found[0]

    return ISO.sub(spelt, text)


def with_dates(words: Sequence[str]) -> list[str]:
    """The same words without breaks, every day of a month before it, as a number: "july 4th" becomes "4 july"."""
    kept = [word for word in words if word != BREAK]
    found: list[str] = []
    place = 0
    while place < len(kept):
        day, month, stop = _date(kept, place)
        if day:
            found += [day, month]
            place = stop
        else:
            found.append(kept[place])
            place += 1
    return found


def _date(words: Sequence[str], start: int) -> tuple[str, str, int]:
    """Day, month and where they end, if a day of a month begins at `start`: in either order."""
    one, other, third = (*words[start : start + 3], "", "")[:3]
    if (day := _day(one)) and other == "of" and third in MONTH:
        return day, MONTH[third], start + 3
    if (day := _day(one)) and other in MONTH:
        return day, MONTH[other], start + 2
    if one in MONTH and (day := _day(other)):
        return day, MONTH[one], start + 2
    return "", "", start


def _day(word: str) -> str:
    found = DAY.fullmatch(word)
    return str(int(found[1])) if found and 1 <= int(found[1]) <= 31 else ""
