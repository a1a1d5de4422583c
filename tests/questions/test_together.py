"""The data sets of one run share nothing, and say what they lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from hneuro.questions.base import QuestionSet, load_together, made
from hneuro.questions.fabricated import FabricatedQuestions
from hneuro.questions.splits import assert_disjoint
from hneuro.records import Question, UserError


@dataclass(frozen=True)
class Given:
    name: str
    questions: tuple[Question, ...]

    def load(self) -> QuestionSet:
        return made(self.questions, f"test of {self.name}")


def question(text: str, **other: Any) -> Question:
    fields = {"id": text, "dataset": "d", "answers": ("x",), "entity": text.lower()} | other
    return Question(text=text, **fields)


def sets(**named: tuple[Question, ...]) -> dict[str, Given]:
    return {name: Given(name, questions) for name, questions in named.items()}


def test_what_two_sets_share_stays_in_the_first_with_a_count() -> None:
    """However the question is written, and whatever its id."""
    found, steps, origins = load_together(
        sets(
            a=(question("Who wrote “Hamlet”?"), question("Where?")),
            b=(question('who wrote "hamlet"', id="7"), question("When?"), question("Where is it?", entity="where?")),
            c=(question("WHEN ?"), question("How?")),
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
    found, _, _ = load_together(sets(a=(question("2+2?"),), b=(question("2-2?"),)), None)
    assert [len(questions) for questions in found.values()] == [1, 1]


def test_a_limit_is_of_what_is_not_shared() -> None:
    many = tuple(question(f"Number {n}?") for n in range(20))
    found, steps, _ = load_together(sets(a=many[:10], b=many), 10)
    assert len(found["b"]) == 10
    assert steps[1].lost == {"also in a": 10}


def test_a_set_that_is_all_in_another_is_refused() -> None:
    with pytest.raises(UserError, match=r"dataset b: none of its 1 questions is left \(1 also in a\)"):
        load_together(sets(a=(question("Who?"),), b=(question("who"),)), None)


def test_a_made_up_name_that_is_real_elsewhere_is_left_out() -> None:
    """In a question or an answer of another set, which may come after it in the config."""
    made_up = FabricatedQuestions(count=30)
    first, second = made_up.load().questions[:2]
    real = Given(
        "real",
        (
            question("Who was it?", answers=(f"Sir {first.meta['coined'][0].upper()}", "x")),
            question(f"Where is {second.meta['coined'][0]}?"),
        ),
    )
    found, steps, _ = load_together({"nonexist": made_up, "real": real}, None)
    assert list(found) == ["nonexist", "real"]
    assert [step.dataset for step in steps] == ["nonexist", "real"]
    assert len(found["real"]) == 2
    assert first not in found["nonexist"]
    assert second not in found["nonexist"]
    assert steps[0].lost == {"its name has a word of real": 2}
