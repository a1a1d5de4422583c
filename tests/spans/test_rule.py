"""Gold answers in responses, the phrases around them, and what a response says that its question does not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.spans.rule import RuleLocator, gold_places
from hneuro.spans.short_answer import ShortAnswer
from hneuro.verdicts.words import key, normal_words

FRANCE = "What is the capital of France?"


@pytest.mark.parametrize(
    ("said", "answers", "found"),
    [
        ("Paris", ("Paris",), "Paris"),
        ("The answer is Paris.", ("Paris",), "Paris"),
        ("William Golding", ("Golding",), "William Golding"),  # as it would be if it were wrong
        ("White Nile and Blue Nile", ("Blue Nile",), "White Nile and Blue Nile"),
        ("Timur (Tamerlane)", ("Timur", "Timur Tamerlane"), "Timur"),  # one that stands in the answer comes first
        ("Istanbul (Scutari)", ("Scutari",), "Scutari"),
    ],
)
def test_a_short_answer_is_one_phrase(said: str, answers: tuple[str, ...], found: str, ask: Any) -> None:
    span = ask(RuleLocator(), said, *answers)
    assert (span.text, span.method) == (found, "rule/alias phrase")


@pytest.mark.parametrize("gold", ["Paris", "something else"])
@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("The capital of France is Paris.", "Paris"),
        ("The capital of France is Paris, which lies on the Seine.", "Paris"),
        ("Paris is the capital of France.", "Paris"),
        ("Paris", "Paris"),
        ("Paris, France", "Paris, France"),
        ("As to France, the capital of France is Paris. It has many inhabitants and a tower.", "Paris"),
        ("The capital of France is, of course, the beautiful old city of Paris on the river Seine, as everyone knows.",
         "of course, the beautiful old city of Paris on the river Seine, as everyone knows"),
    ],
)  # fmt: skip
def test_right_and_wrong_answers_have_the_same_span(gold: str, said: str, found: str, ask: Any) -> None:
    """A span that depended on the label would be a length that depends on it."""
    span = ask(RuleLocator(), said, gold, text=FRANCE)
    assert span.text == found
    assert span.method == ("rule/alias phrase" if gold == "Paris" else "rule/phrase")


@pytest.mark.parametrize(
    ("said", "asked", "found"),
    [
        ("Hamlet was written by William Shakespeare.", "Who wrote Hamlet?", "William Shakespeare"),
        ("Lord Longford was the best man at the wedding of John McVicar.",
         "Lord Longford was the best man at the wedding of which criminal?", "John McVicar"),
        ("It is Paris", "Is it Paris or Rome?", "Paris"),  # stands in the question, too
        ("Paris is the capital", "Is Paris the capital?", "Paris is the capital"),  # nothing new at all
        ("They were married.", "Why did they not meet?", "They were married"),
        ("He was shot by Oswald", "How did he die?", "He was shot by Oswald"),
        ("The mice, Hem and Haw", "Who moved my cheese?", "The mice, Hem and Haw"),
        ("St. Louis is the city. J. K. Rowling was born there long ago, on the 5. of May, in a house by the river.",
         "Which city?", "St. Louis"),
    ],
)  # fmt: skip
def test_what_repeats_the_question_is_no_answer(said: str, asked: str, found: str, ask: Any) -> None:
    assert ask(RuleLocator(), said, "something else", text=asked).text == found


def test_the_mention_is_a_setting(ask: Any) -> None:
    said = "Paris it is, as everyone who has ever been there knows. I say it again: the city of Paris."
    one = {o: ask(RuleLocator(occurrence=o, extend="alias"), said, "Paris") for o in ("first", "last", "all")}
    assert [one["first"].text, one["last"].text, one["all"].text] == ["Paris", "Paris", "Paris Paris"]
    assert one["first"].tokens < one["last"].tokens
    assert one["all"].tokens == one["first"].tokens + one["last"].tokens
    assert any(b - a > 1 for a, b in pairwise(one["all"].tokens))
    phrases = {o: ask(RuleLocator(occurrence=o), said, "Paris").text for o in ("first", "last", "all")}
    assert phrases["first"].startswith("Paris it is")
    assert phrases["last"] == "I say it again: the city of Paris"
    assert phrases["all"] == f"{phrases['first']} {phrases['last']}"
    without = {o: ask(RuleLocator(occurrence=o), said, "Rome").text for o in ("first", "last", "all")}
    assert without == phrases


def test_the_alias_alone_is_a_setting(ask: Any) -> None:
    locator = RuleLocator(extend="alias")
    span = ask(locator, "William Golding, of course", "Golding", "William")
    assert (span.text, span.method) == ("William", "rule/alias")  # the longest, and of equals the first
    assert ask(locator, "William Golding", "golding").text == "Golding"
    assert ask(locator, "Nobody", "Golding").method == "rule/phrase"


@pytest.mark.parametrize("said", ["", "The answer is", "..."])
def test_nothing_said_is_counted(said: str, ask: Any) -> None:
    assert ask(RuleLocator(), said, "Paris").reason == "nothing but filler"


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="most_words must be at least 1"):
        RuleLocator(most_words=0)


WORDS = st.sampled_from(["Paris", "the", "a", "1,000", "O'Neill", "Beyonce\u0301", "Łódź", "東京", "x", "-", "(", "."])
TEXTS = st.lists(WORDS, max_size=8).map(" ".join)


def texts(text: str, *answers: str, whole: tuple[int, int] | None = None) -> list[str]:
    return [text[a:b] for a, b in gold_places(answers, text, whole or (0, len(text)))]


@pytest.mark.parametrize(
    ("said", "answer", "found"),
    [
        ("Eugene O’Neill wrote", "eugene o'neill", "Eugene O’Neill"),
        ("about 1,000 miles", "1000", "1,000"),
        ("The Lord of the Rings", "Lord of Rings", "Lord of the Rings"),
        ("the Spider-Man", "spider man", "Spider-Man"),
        ("die STRASSE", "Straße", "STRASSE"),
        ("مصر و القاهرة", "القاهرة", "القاهرة"),
        ("日本の首都は東京です。", "東京", "東京"),
        ("It is C++, not C", "C++", "C++"),
        ("by J. K. Rowling", "JK Rowling", "J. K. Rowling"),
        ("It is found in ores; its symbol is In", "In", "In"),
        ("Louis the Fourteenth of France", "Louis XIV", "Louis the Fourteenth"),
        ("Simon & Garfunkel", "Simon and Garfunkel", "Simon & Garfunkel"),
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
