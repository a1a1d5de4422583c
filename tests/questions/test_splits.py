"""What a split keeps together, splits that no group crosses, and balanced classes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hneuro.probe.consistency import balance
from hneuro.questions.splits import Splits, assert_disjoint, grouped, in_turn, place_in_draw, split_by_group
from hneuro.records import LabelledResponse, Question, UserError


def questions(entities: int, each: int = 2) -> list[Question]:
    return [
        Question(id=f"{e}/{n}", dataset="d", text=f"Question {n} about {e}?", answers=(f"x {e}",), entity=f"entity {e}")
        for n in range(each)
        for e in range(entities)
    ]


def labelled(wrong: int, right: int) -> list[LabelledResponse]:
    kinds = np.random.default_rng(0).permutation([True] * wrong + [False] * right).tolist()
    return [
        LabelledResponse(question_id=f"q{n}", group=f"e{n}", sample=0, hallucinated=kind)
        for n, kind in enumerate(kinds)
    ]


@given(entities=st.integers(3, 60), seed=st.integers(0, 5), fit=st.integers(1, 98), select=st.integers(1, 98))
def test_every_question_in_one_part_and_every_entity_too(entities: int, seed: int, fit: int, select: int) -> None:
    """No part is empty, however few entities there are."""
    if fit + select > 99:
        fit, select = 60, 15
    shares = Splits(fit=fit / 100, select=select / 100, report=(100 - fit - select) / 100)
    asked = questions(entities)
    parts = split_by_group(asked, shares, seed)
    assert list(parts) == ["fit", "select", "report"]
    assert sorted(q.id for part in parts.values() for q in part) == sorted(q.id for q in asked)
    groups = [{q.entity for q in part} for part in parts.values()]
    assert all(groups)
    assert sum(map(len, groups)) == entities
    for part in parts.values():
        assert [q for q in asked if q in part] == list(part)


def test_shares_are_of_the_entities() -> None:
    parts = split_by_group(questions(200), Splits(), 0)
    assert {name: len({q.entity for q in part}) for name, part in parts.items()} == {
        "fit": 120,
        "select": 30,
        "report": 50,
    }


def test_the_seed_decides_and_the_order_of_the_questions_does_not() -> None:
    asked = questions(50)
    parts = split_by_group(asked, Splits(), 0)
    backwards = split_by_group(asked[::-1], Splits(), 0)
    assert {name: part[::-1] for name, part in parts.items()} == backwards
    assert parts != split_by_group(asked, Splits(), 1)


def test_equal_texts_about_different_entities_are_a_leak() -> None:
    """86 of the published 2,000 ids are in both splits, and other rows repeat a question under another id."""
    one = questions(1, each=1)[0]
    other = replace(one, id="other", entity="other", group="other", text=one.text.upper().replace(" ", "  "))
    with pytest.raises(UserError, match=r"the text 'question 0 about 0' is both in fit and in report"):
        assert_disjoint({"fit": [one], "report": [other]})


def test_one_entity_in_two_data_sets_is_a_leak() -> None:
    one = questions(1, each=1)[0]
    with pytest.raises(UserError, match="the group 'entity 0' is both in fit and in drugs"):
        assert_disjoint({"fit": [one], "drugs": [replace(one, id="other", text="Another?")]})
    assert_disjoint({"fit": [one], "drugs": [replace(one, id="other", text="Another?", group="another")]})


@pytest.mark.parametrize("wrong", [{"fit": 0.7}, {"fit": 0.75, "select": 0.0}])
def test_shares_that_do_not_make_a_whole_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be positive and sum to 1"):
        Splits(**wrong)


@pytest.mark.parametrize(("wrong", "right", "limit", "each"), [(30, 50, None, 30), (30, 50, 10, 10), (0, 5, None, 0)])
def test_as_many_wrong_as_right(wrong: int, right: int, limit: int | None, each: int) -> None:
    responses = labelled(wrong, right)
    kept, step = balance(responses, "d", seed=0, limit=limit)
    assert sum(r.hallucinated for r in kept) == sum(not r.hallucinated for r in kept) == each
    assert [r for r in responses if r in kept] == list(kept)
    assert (step.entered, step.left) == (wrong + right, 2 * each)
    over = {"hallucinated, over": wrong - each, "faithful, over": right - each}
    assert step.lost == {reason: count for reason, count in over.items() if count}


@pytest.mark.parametrize(("size", "homes"), [(16, {"fit", "report"}), (25, {"fit", "report"}), (60, {"fit"})])
def test_a_large_group_fills_no_part_that_is_held_out(size: int, homes: set[str]) -> None:
    """It is whole in a part of which it fills no more than half, by chance in one of several; no part changes size."""
    asked = [replace(q, group="all" if n < size else q.entity) for n, q in enumerate(questions(200, each=1))]
    found = set()
    for seed in range(20):
        parts = split_by_group(asked, Splits(), seed)
        assert {name: len(part) for name, part in parts.items()} == {"fit": 120, "select": 30, "report": 50}
        large = Counter(name for name, part in parts.items() for q in part if q.group == "all")
        assert list(large.values()) == [size]
        found |= set(large)
    assert found == homes


def test_a_group_that_fills_half_of_every_part_goes_where_most_room_is() -> None:
    asked = [replace(q, group="all" if n < 150 else q.entity) for n, q in enumerate(questions(200, each=1))]
    parts = split_by_group(asked, Splits(), 0)
    assert {q.group for q in parts["select"] + parts["report"]} == {q.entity for q in parts["select"] + parts["report"]}
    assert [len(part) for part in parts.values()] == [151, 18, 31]  # the rest, in the proportions of the held-out parts


def about(text: str, *answers: str, **other: object) -> Question:
    return Question(id=text, dataset="d", text=text, answers=answers, **({"entity": text} | other))  # type: ignore[arg-type]


def groups(*questions: Question, by: str = "answer") -> list[str]:
    return [q.group for q in grouped(questions, by, "d")[0]]  # type: ignore[arg-type]


def test_what_shares_an_answer_a_word_order_or_an_entity_is_one_group_also_through_others() -> None:
    asked = (
        about("b", "Paris", "City of Light"),
        about("c", "the city of light!"),
        about("a", "CITY OF LIGHT", "Lutetia"),
        about("d", "Lutetia", entity="x"),
        about("e", "Rome", entity="x"),
        about("f", "Romeo"),
        about("Who was it then?", "Ann"),
        about("then who was it", "Bob"),
    )
    same, alone, words = groups(*asked)[:5], groups(*asked)[5], groups(*asked)[6:]
    assert set(same) == {"a"}
    assert alone == "f"
    assert len(set(words)) == 1
    step = grouped(asked, "answer", "d")[1]
    assert (step.entered, step.left, sum(step.lost.values())) == (7, 3, 4)
    assert "the largest group has 5 of 8 questions" in step.note
    assert groups(*asked, by="entity")[:4] == ["b", "c", "a", "x"]


@pytest.mark.parametrize("fields", [{"options": ("none", "all")}, {"answerable": False}])
def test_lettered_answers_and_none_at_all_join_nothing(fields: dict[str, object]) -> None:
    answers = ("none",) if "options" in fields else ()
    assert groups(about("a", *answers, **fields), about("b", *answers, **fields)) == ["a", "b"]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 99))
def test_the_groups_take_turns(sizes: list[int], seed: int) -> None:
    """However many questions a group has, its second comes after the first of every other; turns are random draws."""
    of = [replace(questions(1)[0], id=f"{g}/{n}", group=str(g)) for g, size in enumerate(sizes) for n in range(size)]
    drawn = in_turn(of, seed)
    assert sorted(q.id for q in drawn) == sorted(q.id for q in of)
    turns = [sum(q.group == earlier.group for earlier in drawn[:place]) for place, q in enumerate(drawn)]
    assert turns == sorted(turns)
    for turn in set(turns):
        own = [q.id for q, at in zip(drawn, turns, strict=True) if at == turn]
        assert own == sorted(own, key=lambda name: place_in_draw(name, seed))
