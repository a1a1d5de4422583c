"""Labels from files, given by people or recorded."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from judging import question, response

from hneuro.codec import canonical
from hneuro.records import UserError, Verdict
from hneuro.verdicts.labels import LabelsJudge

C, W, R, U = Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED


def written(folder: Path, rows: Any, name: str = "labels.jsonl") -> Path:
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / name).write_text(text)
    return folder / name


def verdicts(judge: LabelsJudge, *said: tuple[str, int, str]) -> list[tuple[Verdict, str]]:
    found = judge.judge([(question(name), response(name, text, sample)) for name, sample, text in said])
    assert [(j.question_id, j.sample) for j in found] == [(name, sample) for name, sample, _ in said]
    return [(j.verdict, j.reason) for j in found]


def test_a_label_holds_for_its_text_and_its_sample(tmp_path: Path) -> None:
    file = written(tmp_path, [
        {"id": "q", "response": "Paris", "verdict": "correct"},
        {"id": "q", "sample": 3, "verdict": "refused"},
        {"id": 7, "sample": 0, "response": "Rome", "verdict": False},
        {"id": "q", "response": "Both", "verdict": "t"},
        {"id": "q", "response": "Both", "verdict": "f"},
        {"id": "q", "sample": 5, "response": "Both", "verdict": "f"},
    ])  # fmt: skip
    judge = LabelsJudge(path=str(file))
    judge.check()
    found = verdicts(
        judge, ("q", 0, "Paris\n"), ("q", 3, "anything"), ("7", 0, "Rome"), ("7", 0, "Paris"), ("q", 1, "paris"),
        ("other", 0, "Paris"), ("q", 0, "Both"), ("q", 5, "Both"),
    )  # fmt: skip
    assert [verdict for verdict, _ in found] == [C, R, W, U, U, U, U, W]
    assert found[1][1] == f"label of {file}, row 2"
    assert found[3][1] == found[4][1] == found[5][1] == "no label"
    assert found[6][1] == "labels of this text disagree"


def test_labels_in_csv_under_other_names(tmp_path: Path) -> None:
    with (tmp_path / "labels.csv").open("w", newline="") as out:
        csv.writer(out).writerows([("qid", "said", "human"), ("q", "Paris, of course", "TRUE"), ("q", "", "unjudged")])
    judge = LabelsJudge(
        path=str(tmp_path / "labels.csv"), id_column="qid", response_column="said", verdict_column="human"
    )
    assert verdicts(judge, ("q", 0, "Paris, of course"), ("q", 1, "")) == [
        (C, "label of this text"),
        (U, "label of this text"),
    ]


def test_verdicts_of_recorded_responses(tmp_path: Path) -> None:
    said = [("tc_1", "a", "true"), ("tc_1", "b", "false"), ("tc_1", "a", "true"), ("tc_2", "c", "uncertain")]
    file = written(tmp_path, [{"question_id": name, "text": text, "verdict": word} for name, text, word in said])
    judge = LabelsJudge(path=str(file), id_column="question_id", response_column="text")
    found = verdicts(judge, ("tc_1", 0, "a"), ("tc_1", 1, "b"), ("tc_1", 0, "b"), ("tc_2", 0, "c"), ("tc_2", 0, "d"))
    assert [verdict for verdict, _ in found] == [C, W, W, R, U]


def test_changed_labels_are_another_judge_and_a_moved_file_is_the_same(tmp_path: Path) -> None:
    rows = [{"id": "q", "sample": 0, "verdict": "correct"}]
    one, moved = (LabelsJudge(path=str(written(tmp_path, rows, name))) for name in ("a.jsonl", "b.jsonl"))
    assert canonical(one) == canonical(moved)
    changed = LabelsJudge(path=str(written(tmp_path, [rows[0] | {"verdict": "wrong"}])))
    assert canonical(one) != canonical(changed)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"qid": "q", "verdict": "correct"}], "row 1 has no 'id'; it has qid, verdict"),
        ([{"id": "q", "verdict": "correct"}], "row 1 names no response: it needs 'sample', 'response' or both"),
        ([{"id": "q", "sample": "first", "verdict": "correct"}], "'sample' must be a number from 0, not 'first'"),
        ([{"id": "q", "sample": 0, "verdict": "fine"}], "the verdict 'fine' is none of correct, true"),
        ([{"id": "q", "sample": 0, "verdict": v} for v in ("correct", "wrong")], "row 2: another verdict than"),
    ],
)
def test_bad_labels_are_one_line_with_the_row(rows: Any, says: str, tmp_path: Path) -> None:
    judge = LabelsJudge(path=str(written(tmp_path, rows)))
    with pytest.raises(UserError) as fault:
        judge.judge([(question("q"), response("q", "a"))])
    assert says in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.jsonl does not exist"):
        LabelsJudge(path=str(tmp_path / "gone.jsonl")).check()
