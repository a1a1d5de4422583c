"""The checks that every data set passes; and the data sets of one run share nothing, and say what they lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from hneuro.questions.base import QuestionSet, checked, load_together, made
from hneuro.questions.fabricated import FabricatedQuestions
from hneuro.questions.splits import assert_disjoint
from hneuro.records import Question, UserError


def question(name: str, text: str | None = None, **other: Any) -> Question:
    fields = {"id": name, "answers": ("x",), "entity": name} | other
    return Question(dataset="d", text=text if text is not None else f"Question {name}?", **fields)


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


@dataclass(frozen=True)
class Given:
    name: str
    questions: tuple[Question, ...]

    def load(self) -> QuestionSet:
        return made(self.questions, f"test of {self.name}")


def about(text: str, **other: Any) -> Question:
    return question(text, text, **{"entity": text.lower(), **other})


def sets(**named: tuple[Question, ...]) -> dict[str, Given]:
    return {name: Given(name, questions) for name, questions in named.items()}


def test_what_two_sets_share_stays_in_the_first_with_a_count() -> None:
    """However the question is written, and whatever its id."""
    found, steps, origins = load_together(
        sets(
            a=(about("Who wrote “Hamlet”?"), about("Where?")),
            b=(about('who wrote "hamlet"', id="7"), about("When?"), about("Where is it?", entity="where?")),
            c=(about("WHEN ?"), about("How?")),
        ),
        None,
    )
    assert {name: [q.text for q in questions] for name, questions in found.items()} == {
        "a": ["Who wrote “Hamlet”?", "Where?"],
        "b": ["When?"],
        "c": ["How?"],
    }
    assert [step.lost for step in steps] == [{}, {"also in a": 2}, {"also in b": 1}]
    assert [(step.entered, step.left) for step in steps] == [(2, 2), (3, 1), (2, 1)]
    assert_disjoint(found)
    assert origins["b"].source == "test of b"
    assert origins["b"].rows == 3


def test_signs_that_make_another_question_are_kept() -> None:
    found, _, _ = load_together(sets(a=(about("2+2?"),), b=(about("2-2?"),)), None)
    assert [len(questions) for questions in found.values()] == [1, 1]


def test_a_made_up_name_that_is_real_elsewhere_is_left_out() -> None:
    """In a question or an answer of another set, which may come after it in the config."""
    made_up = FabricatedQuestions(count=30)
    first, second = made_up.load().questions[:2]
    real = Given(
        "real",
        (
            about("Who was it?", answers=(f"Sir {first.meta['coined'][0].upper()}", "x")),
            about(f"Where is {second.meta['coined'][0]}?"),
        ),
    )
    found, steps, _ = load_together({"nonexist": made_up, "real": real}, None)
    assert list(found) == ["nonexist", "real"]
    assert [step.dataset for step in steps] == ["nonexist", "real"]
    assert len(found["real"]) == 2
    assert first not in found["nonexist"]
    assert second not in found["nonexist"]
    assert steps[0].lost == {"its name has a word of real": 2}
