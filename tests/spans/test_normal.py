"""Normalised comparison, and the way back to the characters."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.spans.normal import chosen, find, find_text, folded, words_at

ODD = "aéA 1,0234 the'’\u0301\u0300\u0327\u1100\u1161\u11a8\uac00ﬁ½Å\u0338=\u200d🦊東ẞßİ\u09c7\u09be"


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=20) | st.text(alphabet=ODD, max_size=14))
def test_words_are_those_of_the_folded_text_in_their_places(text: str) -> None:
    words = words_at(text)
    assert all(word.text in folded(text[word.start : word.stop])[0] for word in words)
    for edges in ([word.start for word in words], [word.stop for word in words]):
        assert edges == sorted(edges)  # one character may be two words
    assert all(0 <= word.start < word.stop <= len(text) for word in words)


def test_what_is_not_seen_is_no_difference() -> None:
    assert folded("New\u200b\n  York\u202c ") == ("new york", [*((n, n + 1) for n in (0, 1, 2, 4, 7, 8, 9, 10))])
    assert find_text("Newark", "in New\u200bark") == [(3, 10)]


def test_words_have_no_punctuation() -> None:
    assert [w.text for w in words_at("The “Beyonce\u0301” – O'Neill's 1,000 (ﬁsh)!")] == [
        "the", "beyonce", "o", "neill", "s", "1", "000", "fish",
    ]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(before=st.text(max_size=8), wanted=st.text(min_size=1, max_size=12), after=st.text(max_size=8))
def test_what_is_there_is_found(before: str, wanted: str, after: str) -> None:
    """Whatever the text: the found place has the wanted text, up to what folding ignores."""
    text = before + wanted + after
    for start, stop in find_text(wanted, text):
        assert text[start:stop] == wanted or folded(wanted)[0] in folded(text[start:stop])[0]
    assert find_text(wanted, text)


@pytest.mark.parametrize(
    ("wanted", "text", "there"),
    [
        ("O’Neill", "Eugene O'Neill", "O'Neill"),
        ('"Baby Doc"', "known as “Baby Doc”", "“Baby Doc”"),
        ("Beyoncé", "It is Beyonce\u0301 Knowles", "Beyonce\u0301"),
        ("NEW  YORK", "in New\u00a0York City", "New\u00a0York"),
        ("1963-67", "from 1963–67", "1963–67"),
        ("straße", "die STRASSE", "STRASSE"),
        ("東京", "答えは東京です", "東京"),
        ("مُحَمَّد", "قال مُحَمَّد", "مُحَمَّد"),
        ("Washington DC", "Washington, DC.", "Washington, DC"),  # by its words
        ("Lord of the Rings", "The Lord of Rings (book)", "Lord of Rings"),
    ],
)
def test_quotes_case_blanks_accents_and_scripts(wanted: str, text: str, there: str) -> None:
    ((start, stop),) = find(wanted, text)
    assert text[start:stop] == there


def test_whole_words_win_over_parts_of_words() -> None:
    assert find("art", "Bonaparte, art") == [(11, 14)]
    assert find("5", "1958") == [(2, 3)]  # nothing else is there
    assert find("the art, the ear", "Bonaparte Hear") == []


def test_occurrences_are_chosen_by_the_setting() -> None:
    places = find("Ed Harris", "Ed Harris and ed harris")
    assert places == [(0, 9)]  # the exact one
    places = find("Ed Harris", "Ed Harris and Ed Harris")
    assert chosen(places, "first") == [(0, 9)]
    assert chosen(places, "last") == [(14, 23)]
    assert chosen(places, "all") == [(0, 9), (14, 23)]
    assert chosen([], "last") == []


@pytest.mark.parametrize("nothing", ["", " ", "...", "\u200d"])
def test_nothing_is_nowhere(nothing: str) -> None:
    assert find(nothing, "Paris") == []


@pytest.mark.parametrize(("wanted", "text"), [("Paris", "Rome"), ("Paris", ""), ("Rome Paris", "Paris Rome")])
def test_what_is_not_there_is_not_found(wanted: str, text: str) -> None:
    assert find(wanted, text) == []
