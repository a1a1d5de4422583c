"""The checks that every data set passes."""

from __future__ import annotations

from typing import Any

import pytest

from hneuro.questions.base import checked, made
from hneuro.records import Question, UserError


def question(name: str, text: str | None = None, **other: Any) -> Question:
    fields = {"answers": ("x",), "entity": name} | other
    return Question(id=name, dataset="d", text=text if text is not None else f"Question {name}?", **fields)


def test_what_is_dropped_is_counted() -> None:
    """The same text twice is one question."""
    questions = [
        question("a", "Who wrote  Hamlet?"),
        question("b", "who wrote hamlet?"),
        question("c", answers=(" ",)),
        question("d", answers=(), answerable=False),
        question("e"),
        question("f"),
    ]
    kept, step = checked(made(questions, "test"), "mine", limit=3)
    assert len(kept) == 3
    assert {q.id for q in kept} < {"a", "d", "e", "f"}
    assert (step.dataset, step.unit, step.entered, step.left) == ("mine", "questions", 6, 3)
    assert step.lost == {"repeated question text": 1, "no gold answer": 1, "over the limit": 1}
    assert sum(step.lost.values()) == step.entered - step.left


def test_a_question_with_an_option_twice_is_dropped() -> None:
    """Its two letters would be right and wrong at once."""
    questions = [question("a", options=("x", "y", "x")), question("b", options=("x", "y"))]
    kept, step = checked(made(questions, "test"), "mine", None)
    assert [q.id for q in kept] == ["b"]
    assert step.lost == {"repeated option": 1}


def test_a_limit_keeps_a_random_part_in_its_order() -> None:
    """The first questions of a file are often of one kind."""
    questions = [question(f"{n:03}") for n in range(100)]
    kept = [q.id for q in checked(made(questions, "test"), "mine", limit=10)[0]]
    assert kept == sorted(kept)
    assert kept == [q.id for q in checked(made(questions, "test"), "mine", limit=10)[0]]
    assert kept[-1] > "049"


def test_without_limit_all_are_kept() -> None:
    assert checked(made([question("a"), question("b")], "test"), "mine", None)[1].lost == {}


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ([], "dataset mine has no questions: check its path and its column names"),
        ([question("a"), question("a", "Other?")], "has the question id 'a' more than once"),
        ([question("a", " \n")], "question 'a' has no text"),
        ([question("a", answers=())], r"none of its 1 questions is left \(1 no gold answer\)"),
    ],
)
def test_what_no_run_could_use_is_refused(questions: list[Question], said: str) -> None:
    with pytest.raises(UserError, match=said):
        checked(made(questions, "test"), "mine", None)
