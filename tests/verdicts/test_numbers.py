"""Numbers and dates are equal in all their forms, and different ones never are."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hneuro.verdicts.numbers import NUMBERS
from hneuro.verdicts.words import normal_words

SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))


def spelt(n: int, joined: str = " and ", *, ordinal: bool = False) -> str:
    """A number in English words, written for this test alone."""
    for size, name in SCALES:
        if n >= size:
            rest = n % size
            link = joined if 0 < rest < 100 else " "
            return f"{spelt(n // size, joined)} {name}" + (link + spelt(rest, joined, ordinal=ordinal) if rest else "")
    if n >= 100:
        rest = n % 100
        return f"{NUMBERS['units'][n // 100]} hundred" + (joined + spelt(rest, joined, ordinal=ordinal) if rest else "")
    units, teens, tens = (NUMBERS["ordinal_" * ordinal + kind] for kind in ("units", "teens", "tens"))
    if n < 10:
        return units[n]
    if n < 20:
        return teens[n - 10]
    return NUMBERS["tens"][n // 10 - 2] + "-" + units[n % 10] if n % 10 else tens[n // 10 - 2]


numbers = st.integers(0, 10**4) | st.integers(0, 10**15 - 1) | st.integers(1, 999).map(lambda n: n * 10**6)


@settings(deadline=None, max_examples=300)
@given(numbers, st.sampled_from([" and ", " "]))
def test_every_number_in_words_is_the_number_in_digits(n: int, joined: str) -> None:
    assert normal_words(spelt(n, joined)) == [str(n)] == normal_words(f"{n:,}") == normal_words(str(n))
    assert normal_words(f"minus {spelt(n)}") == [f"-{n}"] == normal_words(f"-{n:,}")
    if n % 100 and n < 10**12:
        assert normal_words(spelt(n, joined, ordinal=True)) == normal_words(f"{n}{ending(n)}")


def ending(n: int) -> str:
    return "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")


FORMS = (
    lambda n: str(n), lambda n: f"{n:,}", spelt, lambda n: f"-{n}", lambda n: f"{n}{ending(n)}", lambda n: f"{n}.5",
    lambda n: f"{n}s", lambda n: f"0{n}", lambda n: f"{n}²", lambda n: f"1/{n}", lambda n: f".{n}1",
    lambda n: f"{n}.001",
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(FORMS), st.sampled_from(FORMS))
@example(2, 102, FORMS[8], FORMS[0])
@example(5, 51, FORMS[10], FORMS[0])
def test_two_different_numbers_never_have_the_same_words(n: int, m: int, one: object, other: object) -> None:
    same = n == m and (one is other or {one, other} <= {*FORMS[:3]})
    assert (normal_words(one(n)) == normal_words(other(m))) is same  # type: ignore[operator]


@pytest.mark.parametrize(
    ("forms", "words"),
    [
        (("two", "2", "TWO"), ["2"]),
        (("1,000", "1000", "one thousand", "a thousand"), ["1000"]),
        (("1.5 million", "1,500,000"), ["1500000"]),
        (("3.50", "3.5"), ["3.5"]),
        (("21st century", "the twenty-first century"), ["21st", "century"]),
        (("4 July 1776", "July 4, 1776", "July 4th, 1776", "the fourth of July, 1776", "1776-07-04", "Jul. 4 1776"),
         ["4", "july", "1776"]),
        (("25 December", "Dec. 25", "the 25th of December", "December twenty-fifth"), ["25", "december"]),
        (("1990s", "1990's", "the 1990’s"), ["1990s"]),
        (("One Hundred and One Dalmatians", "101 Dalmatians"), ["101", "dalmatians"]),
        (("World War Two", "World War 2"), ["world", "war", "2"]),
        (("½", "1/2"), ["1/2"]),
        (("100km", "100 km", "a hundred km"), ["100", "km"]),
        (("5million", "5 million"), ["5000000"]),
        (("B52",), ["b52"]),
        (("٤٢", "42", "４２"), ["42"]),
        (("CO₂", "CO2"), ["co2"]),
        (("-40°C", "−40 C", "minus forty C"), ["-40", "c"]),
    ],
)  # fmt: skip
def test_forms_of_one_thing(forms: tuple[str, ...], words: list[str]) -> None:
    for form in forms:
        assert normal_words(form) == words, form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("007", "7"), ("1.000", "1"), ("1.000", "1000"), ("twenty, five", "25"), ("1234,567", "1234567"),
        ("5½", "51/2"), ("4 July", "7 April"), ("May 2000", "20 May"), ("1776-44-04", "4 July 1776"), ("3.5", "35"),
        ("ten and five", "15"), ("one two three", "123"), ("two million 3", "2000003"), ("1990s", "1990"), ("1st", "1"),
        ("1-2", "1/2"), ("twenty twenty", "2020"),
    ],
)  # fmt: skip
def test_what_is_not_the_same_or_might_not_be_stays_apart(one: str, other: str) -> None:
    assert normal_words(one) != normal_words(other)


@pytest.mark.parametrize(("text", "part"), [("July 4, 1776", "1776"), ("4 July 1776", "July 4"), ("1914-1918", "1914")])
def test_part_of_a_date_or_range_is_found_in_it(text: str, part: str) -> None:
    from hneuro.verdicts.words import states

    assert states(normal_words(text), normal_words(part))


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=60))
def test_any_text_has_words_and_its_words_are_their_own(text: str) -> None:
    words = normal_words(text)
    assert all(word and not word.isspace() for word in words)
    assert "|" not in words
