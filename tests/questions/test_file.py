"""Your own questions, from every kind of file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hneuro.questions.file import QuestionFile
from hneuro.records import Question, UserError

ROWS = [
    {"id": "a", "question": "Who wrote Hamlet?", "answers": ["Shakespeare", "William Shakespeare"], "entity": "hamlet"},
    {"id": "b", "question": "Which river runs through Rome?", "answers": ["Tiber, the", "NA"], "entity": "rome"},
    {"id": "007", "question": "Who is 007?", "answers": ["Eugene O'Neill"], "entity": "bond"},
]


def write(folder: Path, kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    path = folder / f"questions.{kind}"
    match kind:
        case "jsonl":
            path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", "utf-8")
        case "json":
            path.write_text(json.dumps(rows), "utf-8")
        case "parquet":
            pd.DataFrame(rows).to_parquet(path)
        case "csv":
            as_text = [{k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
            pd.DataFrame(as_text).to_csv(path, index=False)
    return str(path)


@pytest.fixture(params=["jsonl", "json", "csv", "parquet"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_kind_of_file_says_the_same(tmp_path: Path, kind: str) -> None:
    """Apostrophes in lists of answers survive; 007 stays 007, and the answer NA is not nothing."""
    assert QuestionFile(path=write(tmp_path, kind, ROWS), name="mine").load().questions == tuple(
        Question(id=r["id"], dataset="mine", text=r["question"], answers=tuple(r["answers"]), entity=r["entity"])
        for r in ROWS
    )


def test_other_column_names(tmp_path: Path, kind: str) -> None:
    names = {"id": "key", "question": "prompt", "answers": "gold", "entity": "topic"}
    path = write(tmp_path, kind, [{names[k]: v for k, v in row.items()} for row in ROWS])
    columns = {"question_column": "prompt", "answers_column": "gold", "id_column": "key", "entity_column": "topic"}
    assert (
        QuestionFile(path=path, **columns).load().questions
        == QuestionFile(path=write(tmp_path, kind, ROWS)).load().questions
    )


def test_without_id_and_entity_every_question_stands_for_itself(tmp_path: Path, kind: str) -> None:
    """By its text, in whatever order the rows are: two files share no id because of row numbers."""
    rows = [{"question": row["question"], "answers": row["answers"]} for row in ROWS]
    found = QuestionFile(path=write(tmp_path, kind, rows)).load().questions
    assert [q.id for q in found] == ["87b473173b5e8a1b", "fc5cbe00bb8ccc44", "255286adbed29047"]
    assert [q.entity for q in found] == ["who wrote hamlet", "which river runs through rome", "who is 007"]


def test_one_answer_as_text(tmp_path: Path, kind: str) -> None:
    (found,) = (
        QuestionFile(path=write(tmp_path, kind, [{"question": "Where?", "answers": "Paris, France"}])).load().questions
    )
    assert found.answers == ("Paris, France",)


def test_numbers_are_answers(tmp_path: Path, kind: str) -> None:
    found = QuestionFile(path=write(tmp_path, kind, [{"question": "When?", "answers": 1969}])).load().questions
    assert found[0].answers == ("1969",)


def test_missing_answers_are_no_answers(tmp_path: Path, kind: str) -> None:
    """The check that all data sets pass drops such a question with a count."""
    rows = [{"question": "Where?", "answers": ["Paris"]}, {"question": "When?", "answers": None}]
    assert [q.answers for q in QuestionFile(path=write(tmp_path, kind, rows)).load().questions] == [("Paris",), ()]


def test_blank_and_missing_entries_of_a_list_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "Where?", "answers": [null, " ", "Paris ", NaN]}')
    assert QuestionFile(path=str(path)).load().questions[0].answers == ("Paris",)


def test_questions_about_what_does_not_exist(tmp_path: Path, kind: str) -> None:
    """They have no gold answer, and still are questions."""
    rows = [
        {"question": "Who is Zorblax?", "answers": [], "answerable": False},
        {"question": "Who is Hamlet?", "answers": ["x"], "answerable": True},
    ]
    found = QuestionFile(path=write(tmp_path, kind, rows)).load().questions
    assert [(q.answerable, q.answers) for q in found] == [(False, ()), (True, ("x",))]


OPTIONS = [
    {"question": "Which river?", "options": ["Po", "Tiber", "Arno"], "answers": "Tiber"},
    {"question": "Which river?", "options": ["Po", "Arno", "Tiber"], "answers": "C"},
    {"question": "Which city?", "options": ["Rome", "Milan"], "answers": "0"},
    {"question": "Both?", "options": ["yes", "no"], "answers": ["A", "no"]},
]


def test_options_and_answers_by_text_letter_and_index(tmp_path: Path, kind: str) -> None:
    rows = OPTIONS if kind != "parquet" else OPTIONS[:3]  # a parquet column is of one type
    found = QuestionFile(path=write(tmp_path, kind, rows)).load().questions
    assert [q.options for q in found] == [tuple(row["options"]) for row in rows]
    assert [q.answers for q in found] == [("Tiber",), ("Tiber",), ("Rome",), ("yes", "no")][: len(rows)]
    assert found[0].text == ("Which river?\nA. Po\nB. Tiber\nC. Arno\nAnswer with the letter of the right option only.")


def test_a_question_with_its_options_shuffled_is_of_the_same_entity(tmp_path: Path, kind: str) -> None:
    """So that no split separates them; but two questions that only share a stem are two."""
    other = {"question": "Which river?", "options": ["Nile", "Niger"], "answers": "A"}
    found = QuestionFile(path=write(tmp_path, kind, [*OPTIONS[:2], other])).load().questions
    assert found[0].entity == found[1].entity != found[2].entity
    assert len({q.text for q in found}) == 3


def test_options_by_letter_and_in_columns_of_their_own(tmp_path: Path, kind: str) -> None:
    """As MedQA and MedMCQA have them (peers detect the second only in a copy with a list)."""
    by_letter = {"A": "Po", "B": "Tiber"} if kind != "csv" else json.dumps({"A": "Po", "B": "Tiber"})
    medqa = {"question": "Which?", "options": by_letter, "answer_idx": "B"}
    medmcqa = [
        {"question": "Which?", "opa": "Po", "opb": "Tiber", "opc": "", "cop": 1},
        {"question": "Hidden?", "opa": "Po", "opb": "Tiber", "opc": "Arno", "cop": -1},
    ]
    (found,) = QuestionFile(path=write(tmp_path, kind, [medqa]), answers_column="answer_idx").load().questions
    assert (found.options, found.answers) == (("Po", "Tiber"), ("Tiber",))
    shown, hidden = (
        QuestionFile(path=write(tmp_path, kind, medmcqa), answers_column="cop", options_columns=("opa", "opb", "opc"))
        .load()
        .questions
    )
    assert (shown.options, shown.answers) == (("Po", "Tiber"), ("Tiber",))
    assert (hidden.options, hidden.answers) == (("Po", "Tiber", "Arno"), ())


def test_a_row_without_options_is_an_open_question(tmp_path: Path, kind: str) -> None:
    rows = [{"question": "Which?", "options": ["Po", "Tiber"], "answers": "A"}, {"question": "Who?", "answers": "I"}]
    found = QuestionFile(path=write(tmp_path, kind, rows)).load().questions
    assert (found[1].text, found[1].options, found[1].answers) == ("Who?", (), ("I",))


def test_rare_line_breaks_inside_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, "jsonl", [{"question": "Who\u2028wrote\x85it?", "answers": ["x"]}])
    assert QuestionFile(path=path).load().questions[0].text == "Who\u2028wrote\x85it?"


def test_a_byte_order_mark_is_not_a_column_name(tmp_path: Path) -> None:
    path = tmp_path / "questions.csv"
    path.write_bytes(b"\xef\xbb\xbfquestion,answers\r\nWhere?,Paris\r\n")
    assert QuestionFile(path=str(path)).load().questions[0].text == "Where?"


def test_an_answer_that_begins_with_a_bracket_is_a_text_outside_csv(tmp_path: Path) -> None:
    (found,) = (
        QuestionFile(path=write(tmp_path, "jsonl", [{"question": "[Which] song?", "answers": "[untitled]"}]))
        .load()
        .questions
    )
    assert (found.text, found.answers) == ("[Which] song?", ("[untitled]",))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.jsonl", '{"question": "x", "answers": []}\n{"question"', "line 2 is not JSON"),
        ("q.jsonl", '["x"]', "line 1 is not a JSON object"),
        (
            "q.jsonl",
            '{"question": "x", "answers": ["y"]}\n{"question": "x"}',
            "row 2 has no 'answers'; it has question",
        ),
        ("q.jsonl", '{"query": "x", "answers": ["y"]}', "row 1 has no 'question'; it has query, answers"),
        ("q.jsonl", '{"question": "x", "answers": {"value": "y"}}', "must be a list or a text"),
        ("q.json", '{"question": "x"}', "must be a list of JSON objects"),
        (
            "q.jsonl",
            '{"question": "x", "answers": "y", "answerable": "no"}',
            "'answerable' must be true or false, not no",
        ),
        ("q.json", '[{"question": "x", "answers": "C", "options": ["y", "z"]}]', "'answers' 'C' is none of the 2"),
        ("q.json", '[{"question": "x", "answers": "1", "options": ["1", "0"]}]', "(gold_form is auto)"),
        ("q.json", '[{"question": "x", "answers": "y", "options": "y, z"}]', "row 1: 'options' must be a list"),
        ("q.csv", "question,answers,options\nx,y,\"['y']\"\n", "row 1: 'options' begins like a list"),
        ("q.json", "[1]", "must be a list of JSON objects"),
        ("q.json", "", "cannot read"),
        ("q.csv", "question,answers\nx,y,z\n", "row 1 has not as many cells as the header"),
        ("q.csv", "question,answers\nx\n", "row 1 has not as many cells as the header"),
        ("q.csv", "question,answers\nx,\"['y']\"\n", "row 1: 'answers' begins like a list but is not a JSON list"),
        ("q.csv", 'question,answers\nx,"y\n', "cannot read"),
        ("q.parquet", "not parquet", "cannot read"),
        ("q.jsonl", b"\xff\xfe", "cannot read"),
        ("q.xlsx", "", "rows are read from .jsonl, .json, .csv and .parquet files"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UserError) as fault:
        QuestionFile(path=str(path)).load()
    assert said in str(fault.value)
    assert str(path) in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        QuestionFile(path=str(tmp_path / "none.jsonl")).load()
