"""Recorded responses, a line each, and their questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from judging import response
from published import converted

from hneuro.questions.base import checked
from hneuro.questions.recorded import RecordedQuestions, read_recordings
from hneuro.records import UserError, Verdict
from hneuro.verdicts.rule import RuleJudge

SUFFIX = " Respond with the answer only, without any explanation."


def source(folder: Path, rows: dict[str, Any], **settings: Any) -> RecordedQuestions:
    lines = (json.dumps({"question_id": key, **row}) + "\n" for key, row in rows.items())
    (folder / "r.jsonl").write_text("".join(lines))
    return RecordedQuestions(path=str(folder / "r.jsonl"), **settings)


def row(question: str, **other: Any) -> dict[str, Any]:
    return {"question": question, "text": "x", "verdict": "true", "answers": ["x"]} | other


def test_the_instruction_after_the_question_is_taken_off(tmp_path: Path) -> None:
    rows = {"a": row(f"Who wrote it?{SUFFIX}"), "b": row("Who did? "), "c": row("Who was?\nBe brief.")}
    assert [q.text for q in source(tmp_path, rows).load().questions] == [
        "Who wrote it?",
        "Who did?",
        "Who was?\nBe brief.",
    ]
    brief = source(tmp_path, rows, suffix="\nBe brief.").load().questions
    assert [q.text for q in brief] == [f"Who wrote it?{SUFFIX}", "Who did?", "Who was?"]
    assert source(tmp_path, rows, suffix="").load().questions[0].text == f"Who wrote it?{SUFFIX}"


def test_without_gold_answers_a_question_needs_verdicts(tmp_path: Path) -> None:
    """The published answer tokens come without gold answers, but with a verdict; no rule may judge them."""
    rows = {"a": row("A?", answers=[]), "b": row("B?", answers=[], verdict=None), "c": row("C?")}
    found = source(tmp_path, rows).load()
    kept, step = checked(found, "recorded", None)
    assert [q.id for q in kept] == ["a", "c"]
    assert step.lost == {"no gold answer": 1}
    assert RuleJudge().judge([(kept[0], response("a", "x"))])[0].verdict is Verdict.UNJUDGED


def test_what_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone.jsonl does not exist"):
        RecordedQuestions(path=str(tmp_path / "gone.jsonl")).load()
    for rows in ({"a": row("")}, {"a": row("A?"), "b": {"text": "y"}}):
        with pytest.raises(UserError, match=r"r.jsonl, row [12]: each response to '[ab]' needs the same 'question'"):
            source(tmp_path, rows).load()


def test_real_recordings(recorded_data: Path, tmp_path: Path) -> None:
    """Every line of every file, and no question with the instruction left."""
    files = {
        "gemma3_4b/triviaqa_consistency_samples.jsonl": (3500, 35000),
        "gemma3_4b/triviaqa_answer_tokens.jsonl": (2997, 2997),
        "gemma3_4b/bioasq_samples_first200.jsonl": (200, 200),
        "official_examples/gemma27b_TriviaQA_answer_tokens_train.jsonl": (2600, 2600),
    }
    for name, (questions, responses) in files.items():
        file = converted(recorded_data / name, tmp_path / Path(name).name)
        recordings = read_recordings(file)
        assert len(recordings) == questions
        assert sum(map(len, recordings.values())) == responses
        found = RecordedQuestions(path=str(file)).load().questions
        assert not any("without any explanation" in q.text for q in found)
    kept, step = checked(RecordedQuestions(path=str(tmp_path / "triviaqa_answer_tokens.jsonl")).load(), "r", None)
    assert (len(kept), step.lost) == (2997, {})


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
