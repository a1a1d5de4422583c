"""Where a gold answer stands, in the eyes of the rule judge."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.spans.rule import gold_places
from hneuro.spans.short_answer import ShortAnswer
from hneuro.verdicts.words import key, normal_words

WORDS = st.sampled_from(["Paris", "the", "a", "1,000", "O'Neill", "Beyonce\u0301", "Łódź", "東京", "x", "-", "(", "."])
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


def texts(text: str, *answers: str, whole: tuple[int, int] | None = None) -> list[str]:
    return [text[a:b] for a, b in gold_places(answers, text, whole or (0, len(text)))]


@pytest.mark.parametrize(
    ("said", "answer", "found"),
    [
        ("Eugene O’Neill wrote", "eugene o'neill", "Eugene O’Neill"),
        ("in Łódź.", "Łódź", "Łódź"),
        ("Beyonce\u0301 Knowles", "beyoncé", "Beyonce\u0301"),
        ("about 1,000 miles", "1000", "1,000"),
        ("It was the Beatles", "The Beatles", "Beatles"),
        ("vitamin A", "Vitamin A", "vitamin A"),
        ("The Lord of the Rings", "Lord of Rings", "Lord of the Rings"),
        ("the Spider-Man", "spider man", "Spider-Man"),
        ("212°F", "212 F", "212°F"),
        ("die STRASSE", "Straße", "STRASSE"),
        ("مصر و القاهرة", "القاهرة", "القاهرة"),
        ("日本の首都は東京です。", "東京", "東京"),
        ("서울입니다", "서울", "서울"),
        ("It is C++, not C", "C++", "C++"),
        ("It is in C#", "C sharp", "C#"),
        ("by J. K. Rowling", "JK Rowling", "J. K. Rowling"),
        ("in the U.S.", "US", "U.S"),
        ("It is found in ores; its symbol is In", "In", "In"),
        ("Louis the Fourteenth of France", "Louis XIV", "Louis the Fourteenth"),
        ("Simon & Garfunkel", "Simon and Garfunkel", "Simon & Garfunkel"),
        ("Spiderman", "Spider-Man", "Spiderman"),
        ("TNFα", "TNF-alpha", "TNFα"),
        ("<think>Paris, or Rome?</think>Yes, Paris", "Paris", "Paris"),
    ],
)
def test_what_is_the_same_to_the_judge_is_the_same_here(said: str, answer: str, found: str) -> None:
    assert texts(said, answer) == [found]


def test_the_longest_answer_and_all_its_places() -> None:
    assert texts("New York, New York City", "New York", "York") == ["New York", "New York"]
    assert texts("New York, New York City", "New York", "New York City") == ["New York City"]
    assert texts("Timur (Tamerlane)", "Timur Tamerlane", "Timur", whole=(0, 5)) == ["Timur"]
    assert texts("Timur (Tamerlane)", "Tamerlane", whole=(0, 5)) == ["Tamerlane"]
    assert texts("x x x x", "x x") == ["x x", "x x"]


@pytest.mark.parametrize("answers", [(), ("",), ("art",), ("...",), ("Paris Rome",)])
def test_none_is_stated(answers: tuple[str, ...]) -> None:
    assert texts("Bonaparte, Paris", *answers) == []


@settings(max_examples=300, deadline=None)
@given(before=TEXTS, answer=TEXTS, after=TEXTS)
def test_every_place_says_the_answer_and_what_is_stated_has_a_place(before: str, answer: str, after: str) -> None:
    text = f"{before} {answer} {after}"
    found = texts(text, answer)
    assert all(key(normal_words(place)) == key(normal_words(answer)) for place in found)
    if normal_words(answer):
        assert found


def test_nothing_stands_in_a_thought() -> None:
    text = "<think>Paris, or Rome?</think>Yes, Paris"
    assert gold_places(("Paris",), text, (0, len(text))) == [(35, 40)]
    assert gold_places(("Paris",), "<think>Paris", (0, 12)) == []
    assert ShortAnswer().characters("<think>Rome?</think>\n\nParis.") == (22, 27)
    assert ShortAnswer().characters("<think>Rome") == (0, 0)
