"""BioASQ, as it is downloaded and as the hub has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hneuro.questions.bioasq import BioASQ
from hneuro.records import UserError


def factoid(name: str, body: str, answer: Any) -> dict[str, Any]:
    return {"id": name, "body": body, "type": "factoid", "exact_answer": answer, "ideal_answer": ["..."]}


def official(path: Path, *questions: dict[str, Any]) -> BioASQ:
    path.write_text(json.dumps({"questions": questions}))
    return BioASQ(path=str(path))


def test_the_download_in_every_form_of_its_answers(tmp_path: Path) -> None:
    found = official(
        tmp_path / "13b.json",
        factoid("a", "What is the Bazex syndrome?", [["Acrokeratosis", "acrokeratosis paraneoplastica"], ["other"]]),
        factoid("b", "Which gene?", ["BRCA1", "BRCA 1"]),
        factoid("c", "Which protein?", "p53"),
        {"id": "d", "body": "Is it so?", "type": "yesno", "exact_answer": "yes"},
        {"id": "e", "body": "Summarise it.", "type": "summary"},
    ).load()
    assert [(q.id, q.answers) for q in found.questions] == [
        ("a", ("Acrokeratosis", "acrokeratosis paraneoplastica", "other")),
        ("b", ("BRCA1", "BRCA 1")),
        ("c", ("p53",)),
    ]
    assert found.left_out == {"not a factoid question with an exact answer": 2}
    assert (found.origin.rows, found.origin.revision) == (5, "")


def test_the_batches_of_a_folder_are_one_set(tmp_path: Path) -> None:
    official(tmp_path / "13B1_golden.json", factoid("a", "Which gene?", [["BRCA1"]]))
    official(tmp_path / "13B2_golden.json", factoid("a", "Which gene?", [["BRCA-1"]]), factoid("b", "Where?", ["skin"]))
    found = BioASQ(path=str(tmp_path), split=None).load()
    assert [(q.id, q.answers) for q in found.questions] == [("a", ("BRCA1", "BRCA-1")), ("b", ("skin",))]
    assert found.left_out == {"another row of a question": 1}


def test_the_copy_whose_answer_is_inside_a_text(tmp_path: Path) -> None:
    """A question has a row for each of its contexts: their answers are all right."""
    rows = [
        {"question": "Which inheritance?", "text": "<answer> autosomal dominant <context> A family with ..."},
        {"question": "Which inheritance?", "text": "<answer>dominant<context>Another <answer> x"},
        {"question": "Which gene?", "text": "no tag at all"},
        {"question": "Which drug?", "text": "<answer> NA"},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "train_bio.csv", index=False)
    found = BioASQ(path=str(tmp_path)).load()
    assert [(q.text, q.answers) for q in found.questions] == [
        ("Which inheritance?", ("autosomal dominant", "dominant")),
        ("Which drug?", ("NA",)),
    ]
    assert found.left_out == {"another row of a question": 1, "no answer after <answer>": 1}
    assert len(found.questions[0].id) == 16


def test_a_table_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"question": "Which?", "answer": "x"}\n')
    with pytest.raises(UserError, match=r"row 1: has neither 'body' and 'exact_answer', .* nor 'question' and 'text'"):
        BioASQ(path=str(tmp_path / "b.jsonl")).load()
    (tmp_path / "b.json").write_text('{"items": []}')
    with pytest.raises(UserError, match="must be a list of JSON objects, one for each row, perhaps as 'questions'"):
        BioASQ(path=str(tmp_path / "b.json")).load()
