"""Which wrong value is planted for a question."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hneuro.causal.values import Values, clash, kind_of
from hneuro.records import Fact, Question
from hneuro.verdicts.asserted import asserts, finder
from hneuro.verdicts.words import normal_words


def question(number: int, *answers: str, text: str = "", **meta: Any) -> Question:
    return Question(
        id=str(number), dataset="d", text=text or f"What is number {number}?", answers=answers, entity="", meta=meta
    )


COUNTRIES = (("Japan", "Nippon"), ("Brazil",), ("Niger",), ("Nigeria",), ("Guinea",), ("Equatorial Guinea",), ("US",))
names = st.lists(st.text("abcd ", min_size=1, max_size=6), min_size=1, max_size=3)


@given(st.lists(names, min_size=1, max_size=12))
def test_it_is_another_value_of_the_data_set_that_cannot_be_taken_for_a_right_one(answers: list[list[str]]) -> None:
    every = [question(n, *aliases, text=f"Which is {aliases[0][:2]}?") for n, aliases in enumerate(answers)]
    values = Values.of(every)
    first = {tuple(normal_words(q.answers[0])) for q in every}
    for one in every:
        planted = values.planted(one)
        other = Values.of(list(reversed(every))).planted(one)
        assert (planted and normal_words(planted[0])) == (other and normal_words(other[0]))
        if planted is None:
            continue
        assert tuple(normal_words(planted[0])) in first
        assert not clash(planted, one)
        for alias in planted:
            for right in one.answers:
                assert not asserts(alias, finder((right,)))
                assert not asserts(right, finder((alias,)))


def test_only_values_of_the_same_kind_are_planted() -> None:
    mixed = [
        *(question(n, *aliases, kind="country") for n, aliases in enumerate(COUNTRIES)),
        question(10, "Tokyo", kind="capital"),
        question(11, "Brasilia", kind="capital"),
    ]
    values = Values.of(mixed)
    for one in mixed:
        planted = values.planted(one)
        assert planted is not None
        assert kind_of(one) == next(kind_of(q) for q in mixed if q.answers == planted)
    assert values.planted(question(12, "Oslo", kind="river")) is None


@pytest.mark.parametrize(
    ("value", "answers", "text", "clashes"),
    [
        (("Brazil",), ("Japan",), "Where is Kofu?", False),
        (("Niger",), ("Nigeria",), "Where?", True),
        (("Guinea",), ("Equatorial Guinea",), "Where?", True),
        (("the USA", "United States"), ("United States",), "Where?", True),
        (("Brazil",), ("Japan",), "Kofu, not the one in Brazil, is where?", True),
        (("In",), ("Au",), "Which symbol has gold?", True),
        (("Ag",), ("Au",), "Which symbol has gold?", False),
        (("1,000",), ("1000",), "How many?", True),
    ],
)
def test_what_could_be_mistaken_is_not_planted(
    value: tuple[str, ...], answers: tuple[str, ...], text: str, clashes: bool
) -> None:
    assert clash(value, question(1, *answers, text=text)) is clashes


def test_facts_that_give_themselves_away_or_leave_nothing_to_plant_are_not_asked() -> None:
    every = [
        question(1, "Japan", kind="country"),
        question(2, "Mexico", kind="country", text="In which country is Mexico City?"),
        question(3, "Tokyo", kind="capital"),
        question(4, "In", kind="country"),
    ]
    facts = [Fact(question=q, said=q.answers[0]) for q in every]
    assert [fact.question.id for fact in Values.of(every).askable(facts)] == ["1"]


def test_any_other_value_of_the_kind_is_found_but_no_right_one() -> None:
    every = [question(n, *aliases, kind="country") for n, aliases in enumerate(COUNTRIES)]
    find = Values.of(every).other_than(every[0])
    assert asserts("It is in Brazil.", find)
    assert asserts("It is in Equatorial Guinea.", find)
    assert not asserts("It is in Nippon, not in Brazil.", find)
    assert not asserts("It is in France.", find)
