"""Recorded responses, a line each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hneuro.questions.recorded import read_recordings
from hneuro.records import UserError, Verdict


def write(folder: Path, rows: Sequence[Any]) -> Path:
    path = folder / "recorded.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def test_a_line_says_what_is_known_of_a_response(tmp_path: Path) -> None:
    """Rows of a question need not stand together, and say their sample or are counted; a text stays as it is."""
    path = write(tmp_path, [
        {"question_id": 7, "sample": 1, "text": "[untitled]", "verdict": "uncertain"},
        {"question_id": "b", "text": "Ann"},
        {"question_id": 7, "sample": 0, "text": " O'Neill\n", "question": "Who?", "answers": ["x", "y", "x"],
         "verdict": "TRUE", "answer_tokens": ["▁O", "'", "Neill"]},
        {"question_id": "b", "text": "", "verdict": None, "answer_tokens": []},
    ])  # fmt: skip
    found = read_recordings(path)
    seven, other = found["7"], found["b"]
    assert [one.text for one in seven] == [" O'Neill\n", "[untitled]"]
    assert (seven[0].question, seven[0].answers) == ("Who?", ("x", "y"))
    assert [one.verdict for one in (*seven, *other)] == [Verdict.CORRECT, Verdict.REFUSED, None, None]
    assert [one.answer_tokens for one in (*seven, *other)] == [("▁O", "'", "Neill"), None, None, ()]
    assert [one.text for one in other] == ["Ann", ""]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"id": "q", "text": "x"}, "row 1 has no 'question_id', by which questions find their responses"),
        ({"question_id": "q"}, "row 1: 'text' must be the response"),
        ({"question_id": "q", "text": "x", "answers": "x"}, "row 1: 'answers' must be a list of texts"),
        ({"question_id": "q", "text": "x", "answer_tokens": [1]}, "row 1: 'answer_tokens' must be a list of texts"),
        ({"question_id": "q", "text": "x", "verdict": "perhaps"}, "the verdict 'perhaps' is none of correct, true"),
        ({"question_id": "q", "text": "x", "sample": "0"}, "row 1: 'sample' must be a number from 0, not '0'"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    path = write(tmp_path, [row])
    with pytest.raises(UserError) as fault:
        read_recordings(path)
    assert said in str(fault.value)
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)
