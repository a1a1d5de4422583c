"""TriviaQA, with the columns of the hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hneuro.questions.base import checked
from hneuro.questions.triviaqa import TriviaQA
from hneuro.records import Question, UserError

ROW: dict[str, Any] = {
    "question": "Who wrote Hamlet? ",
    "question_id": "tc_1",
    "question_source": "http://quiz",
    "answer": {
        "aliases": ["Shakespeare", "The Bard", "Eugene O'Neill"],
        "normalized_aliases": ["shakespeare", "the bard"],
        "value": "The Bard",
        "type": "WikipediaEntity",
    },
}


def source(folder: Path, *rows: Any) -> TriviaQA:
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return TriviaQA(path=str(folder / "t.jsonl"))


def test_every_alias_is_gold_once(tmp_path: Path) -> None:
    found = source(tmp_path, ROW).load()
    assert found.questions == (
        Question(
            id="tc_1",
            dataset="triviaqa",
            text="Who wrote Hamlet?",
            answers=("The Bard", "Shakespeare", "Eugene O'Neill", "shakespeare", "the bard"),
            entity="who wrote hamlet",
        ),
    )


def test_a_question_that_stands_there_for_two_documents_is_kept_once(tmp_path: Path) -> None:
    other = ROW | {"question_id": "tc_2", "question": "Who wrote Macbeth?"}
    kept, step = checked(source(tmp_path, ROW, other, ROW).load(), "triviaqa", None)
    assert [q.id for q in kept] == ["tc_1", "tc_2"]
    assert (step.entered, step.left, step.lost) == (3, 2, {"another row of a question": 1})


def test_hidden_answers_are_no_answers(tmp_path: Path) -> None:
    hidden = ROW | {"answer": {"aliases": [], "normalized_aliases": [], "value": "<unk>"}}
    found = source(tmp_path, hidden).load()
    assert found.questions[0].answers == ()
    with pytest.raises(UserError, match=r"none of its 1 questions is left \(1 no gold answer\)"):
        checked(found, "triviaqa", None)


def test_an_answer_of_another_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"t.jsonl, row 2: 'answer' must be an object"):
        source(tmp_path, ROW, ROW | {"question_id": "tc_2", "answer": "The Bard"}).load()
