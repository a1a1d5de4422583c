"""What a split keeps together."""

from __future__ import annotations

import pytest

from hneuro.questions.splits import grouped
from hneuro.questions.world import WorldQuestions
from hneuro.records import Question


def question(text: str, *answers: str, **other: object) -> Question:
    return Question(id=text, dataset="d", text=text, answers=answers, **({"entity": text} | other))  # type: ignore[arg-type]


def groups(*questions: Question, by: str = "answer") -> list[str]:
    return [q.group for q in grouped(questions, by, "d")[0]]  # type: ignore[arg-type]


def test_what_shares_an_answer_a_word_order_or_an_entity_is_one_group_also_through_others() -> None:
    asked = (
        question("b", "Paris", "City of Light"),
        question("c", "the city of light!"),
        question("a", "CITY OF LIGHT", "Lutetia"),
        question("d", "Lutetia", entity="x"),
        question("e", "Rome", entity="x"),
        question("f", "Romeo"),
        question("Who was it then?", "Ann"),
        question("then who was it", "Bob"),
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
    assert groups(question("a", *answers, **fields), question("b", *answers, **fields)) == ["a", "b"]


def test_cities_are_held_out_by_country() -> None:
    found, step = grouped(WorldQuestions(domain="cities").load().questions, "answer", "cities")
    assert len({q.meta["answer_key"] for q in found}) == step.left == 163
    assert all(len({q.group for q in found if q.meta["answer_key"] == key}) == 1 for key in ("FR", "CN"))
