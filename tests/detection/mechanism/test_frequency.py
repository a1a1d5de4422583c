"""Counts of the training data: every form of the file, and every way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hneuro.detection.mechanism.settings import frequencies, read_counts
from hneuro.records import Question, UserError

QUESTIONS = [
    Question(id="q1", dataset="d", text="?", answers=("a",), entity="Ada", meta={"count": 7}),
    Question(id="q2", dataset="d", text="?", answers=("a",), entity="Bo"),
]


def write(folder: Path, text: str, name: str = "counts.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.csv", "entity,count,more\nAda,12,x\nCy,0,y\n"),
        ("c.jsonl", '{"entity": "Ada", "count": 12}\n{"entity": "Ada", "count": 12.0}\n'),
        ("c.json", '[{"id": "q1", "count": 12}]'),
    ],
)
def test_a_count_is_found_by_entity_or_by_question_and_who_is_not_in_the_file_is_unknown(
    tmp_path: Path, name: str, text: str
) -> None:
    found = frequencies(QUESTIONS, read_counts(write(tmp_path, text, name)), "count")
    np.testing.assert_array_equal(found, [12, np.nan])


def test_without_a_file_a_question_says_itself_how_often() -> None:
    np.testing.assert_array_equal(frequencies(QUESTIONS, None, "count"), [7, np.nan])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,count\nAda,1\n", ("row 1", "'id' or 'entity'", "it has name, count")),
        ("entity,documents\nAda,1\n", ("row 1", "no 'count'", "it has entity, documents")),
        ("entity,count\nAda,1\nBo,-1\n", ("row 2", "a number from 0", "'-1'")),
        ("entity,count\nAda,many\n", ("row 1", "a number from 0", "'many'")),
        ("entity,count\nAda,nan\n", ("row 1", "a number from 0")),
        ("entity,count\nAda,1\nAda,2\n", ("row 2", "'Ada' has another count")),
        ("entity,count\n", ("has no rows",)),
    ],
)
def test_a_bad_file_is_refused_with_its_row(tmp_path: Path, text: str, says: tuple[str, ...]) -> None:
    with pytest.raises(UserError) as fault:
        read_counts(write(tmp_path, text))
    assert all(part in str(fault.value) for part in (*says, "counts.csv")), fault.value
    assert "\n" not in str(fault.value)
