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


def load(folder: Path, kind: str, rows: Sequence[Mapping[str, Any]], **options: Any) -> tuple[Question, ...]:
    return QuestionFile(path=write(folder, kind, rows), **options).load().questions


def test_every_kind_of_file_says_the_same_under_any_column_names(tmp_path: Path, kind: str) -> None:
    """Apostrophes in lists of answers survive; 007 stays 007, and the answer NA is not nothing."""
    wanted = tuple(
        Question(id=r["id"], dataset="mine", text=r["question"], answers=tuple(r["answers"]), entity=r["entity"])
        for r in ROWS
    )
    assert load(tmp_path, kind, ROWS, name="mine") == wanted
    names = {"id": "key", "question": "prompt", "answers": "gold", "entity": "topic"}
    renamed = [{names[k]: v for k, v in row.items()} for row in ROWS]
    columns = {f"{ours}_column": theirs for ours, theirs in names.items()}
    assert load(tmp_path, kind, renamed, name="mine", **columns) == wanted


def test_without_id_and_entity_every_question_is_its_own(tmp_path: Path, kind: str) -> None:
    """By its text, in whatever order the rows are: two files share no id because of row numbers."""
    found = load(tmp_path, kind, [{"question": row["question"], "answers": row["answers"]} for row in ROWS])
    assert [q.id for q in found] == ["87b473173b5e8a1b", "fc5cbe00bb8ccc44", "255286adbed29047"]
    assert [q.entity for q in found] == ["who wrote hamlet", "which river runs through rome", "who is 007"]


def test_one_answer_and_none(tmp_path: Path, kind: str) -> None:
    """The check that all data sets pass drops a question without answers, with a count."""
    (text,) = load(tmp_path, kind, [{"question": "Where?", "answers": "Paris, France"}])
    (number,) = load(tmp_path, kind, [{"question": "When?", "answers": 1969}])
    rows = [{"question": "Where?", "answers": ["Paris"]}, {"question": "When?", "answers": None}]
    assert (text.answers, number.answers) == (("Paris, France",), ("1969",))
    assert [q.answers for q in load(tmp_path, kind, rows)] == [("Paris",), ()]
    path = tmp_path / "blanks.jsonl"
    path.write_text('{"question": "Where?", "answers": [null, " ", "Paris ", NaN]}')
    assert QuestionFile(path=str(path)).load().questions[0].answers == ("Paris",)


def test_questions_about_what_does_not_exist(tmp_path: Path, kind: str) -> None:
    """They have no gold answer, and still are questions."""
    rows = [
        {"question": "Who is Zorblax?", "answers": [], "answerable": False},
        {"question": "Who is Hamlet?", "answers": ["x"], "answerable": True},
    ]
    assert [(q.answerable, q.answers) for q in load(tmp_path, kind, rows)] == [(False, ()), (True, ("x",))]


OPTIONS = [
    {"question": "Which river?", "options": ["Po", "Tiber", "Arno"], "answers": "Tiber"},
    {"question": "Which river?", "options": ["Po", "Arno", "Tiber"], "answers": "C"},
    {"question": "Which city?", "options": ["Rome", "Milan"], "answers": "0"},
    {"question": "Both?", "options": ["yes", "no"], "answers": ["A", "no"]},
]


def test_options_and_answers_by_text_letter_and_index(tmp_path: Path, kind: str) -> None:
    rows = OPTIONS if kind != "parquet" else OPTIONS[:3]  # a parquet column is of one type
    found = load(tmp_path, kind, rows)
    assert [q.options for q in found] == [tuple(row["options"]) for row in rows]
    assert [q.answers for q in found] == [("Tiber",), ("Tiber",), ("Rome",), ("yes", "no")][: len(rows)]
    assert found[0].text == ("Which river?\nA. Po\nB. Tiber\nC. Arno\nAnswer with the letter of the right option only.")
    # A question with its options shuffled is of the same entity; two that only share a stem are two.
    found = load(
        tmp_path, kind, [*OPTIONS[:2], {"question": "Which river?", "options": ["Nile", "Po"], "answers": "A"}]
    )
    assert found[0].entity == found[1].entity != found[2].entity
    assert len({q.text for q in found}) == 3
    open_one = {"question": "Who?", "answers": "I"}
    found = load(tmp_path, kind, [OPTIONS[0], open_one])
    assert (found[1].text, found[1].options, found[1].answers) == ("Who?", (), ("I",))


def test_options_by_letter_and_in_columns_of_their_own(tmp_path: Path, kind: str) -> None:
    """As MedQA and MedMCQA have them."""
    by_letter = {"A": "Po", "B": "Tiber"} if kind != "csv" else json.dumps({"A": "Po", "B": "Tiber"})
    medqa = {"question": "Which?", "options": by_letter, "answer_idx": "B"}
    medmcqa = [
        {"question": "Which?", "opa": "Po", "opb": "Tiber", "opc": "", "cop": 1},
        {"question": "Hidden?", "opa": "Po", "opb": "Tiber", "opc": "Arno", "cop": -1},
    ]
    found = load(tmp_path, kind, [medqa], answers_column="answer_idx")
    found += load(tmp_path, kind, medmcqa, answers_column="cop", options_columns=("opa", "opb", "opc"))
    assert [q.options for q in found] == [("Po", "Tiber"), ("Po", "Tiber"), ("Po", "Tiber", "Arno")]
    assert [q.answers for q in found] == [("Tiber",), ("Tiber",), ()]


def test_texts_stay_as_they_are(tmp_path: Path) -> None:
    """Rare line breaks inside of them; a bracket at their beginning outside of csv; no byte order mark."""
    (found,) = load(tmp_path, "jsonl", [{"question": "[Who]\u2028wrote\x85it?", "answers": "[untitled]"}])
    assert (found.text, found.answers) == ("[Who]\u2028wrote\x85it?", ("[untitled]",))
    (tmp_path / "questions.csv").write_bytes(b"\xef\xbb\xbfquestion,answers\r\nWhere?,Paris\r\n")
    assert QuestionFile(path=str(tmp_path / "questions.csv")).load().questions[0].text == "Where?"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("q.jsonl", '{"question": "x", "answers": []}\n{"question"', "line 2 is not JSON"),
        ("q.jsonl", "[" * 100_000, "nested too deeply"),
        ("q.jsonl", '{"question": "a"}\n{"question": "\\ud800?", "answers": "a"}\n', "line 2 has half a character"),
        ("q.jsonl", '{"question": ["a"], "answers": "a"}', "row 1: 'question' must be text"),
        ("q.jsonl", '{"question": "a", "answer": "b"}', "name the column that holds it, as answers_column=NAME"),
        (
            "q.jsonl",
            '{"question": "x", "answers": ["y"]}\n{"question": "x"}',
            "row 2 has no 'answers'; it has question",
        ),
        (
            "q.jsonl",
            '{"question": "x", "answers": "y", "answerable": "no"}',
            "'answerable' must be true or false, not no",
        ),
        ("q.json", '[{"question": "x", "answers": "C", "options": ["y", "z"]}]', "'answers' 'C' is none of the 2"),
        ("q.json", '[{"question": "x", "answers": "1", "options": ["1", "0"]}]', "(gold_form is auto)"),
        ("q.json", '[{"question": "x", "answers": "y", "options": "y, z"}]', "row 1: 'options' must be a list"),
        ("q.csv", "question,answers,options\nx,y,\"['y']\"\n", "row 1: 'options' begins like a list"),
        ("q.json", '[{"question": "x", "answers": "y", "id": [1]}]', "row 1: 'id' must be text, not [1]"),
        ("q.csv", "question,answers,question\nx,y,z\n", "its header names the column 'question' twice"),
        ("q.csv", "question,answers\nx,y,z\n", "row 1 has not as many cells as the header"),
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
