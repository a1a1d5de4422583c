"""From the config to questions: the sets of `dataset=triviaqa`, read from files in the place of the hub."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from commands import composed

from hneuro.config import build_experiment
from hneuro.pipeline.checks import check_labelled
from hneuro.pipeline.run import load_questions
from hneuro.provenance import run_card
from hneuro.questions.splits import assert_disjoint
from hneuro.records import UserError
from hneuro.result_records import FunnelStep


def test_the_paper_s_sets_are_loaded_disjoint_and_their_origins_recorded(tmp_path: Path, tiny_checkpoint: Path) -> None:
    trivia = [
        {"question": f"Who wrote book {n // 2}?", "question_id": f"tc_{n // 2}", "answer": {"value": str(n // 2)}}
        for n in range(40)
    ]
    open_questions = [{"question": f"who wrote book {n}", "answer": ["x"]} for n in range(15, 25)]
    bioasq = {"questions": [{"id": "b", "body": "Which gene?", "type": "factoid", "exact_answer": [["p53"]]}]}
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in trivia))
    (tmp_path / "n.jsonl").write_text("".join(json.dumps(row) + "\n" for row in open_questions))
    (tmp_path / "b.json").write_text(json.dumps(bioasq))
    words = [
        *("model=hub", "model.name=tiny", f"model.chat.path={tiny_checkpoint}", "benchmark=none", "dataset=triviaqa"),
        f"dataset.identification.path={tmp_path}/t.jsonl",
        f"dataset.evaluation.nq_open.path={tmp_path}/n.jsonl",
        f"dataset.evaluation.bioasq.path={tmp_path}/b.json",
        "dataset.evaluation.nonexist.count=1000",
        "dataset.limit=500",
    ]
    experiment = build_experiment(composed(*words))
    asked = load_questions(experiment)

    assert {name: len(questions) for name, questions in asked.parts.items()} == {"fit": 12, "select": 3, "report": 5}
    assert {name: len(questions) for name, questions in asked.others.items()} == {
        "nq_open": 5,
        "bioasq": 1,
        "nonexist": 500,
    }
    assert_disjoint({**asked.parts, **asked.others})
    assert {step.dataset: step.lost for step in asked.funnel if step.stage == "questions"} == {
        "triviaqa": {"another row of a question": 20},
        "nq_open": {"also in triviaqa": 5},
        "bioasq": {},
        "nonexist": {"over the limit": 500},
    }
    card = run_card(experiment, data=asked.origins)["data"]
    assert card["triviaqa"]["source"] == f"{tmp_path}/t.jsonl"
    assert {name: origin["rows"] for name, origin in card.items()} == {
        "triviaqa": 40,
        "nq_open": 10,
        "bioasq": 1,
        "nonexist": 1000,
    }
    assert all(len(origin["fingerprint"]) == 64 for origin in card.values())


@pytest.mark.parametrize(("unjudged", "said"), [(14, "14 of 20 questions are unjudged (why)"), (3, "more questions")])
def test_the_cause_of_too_few_answers_comes_first(unjudged: int, said: str) -> None:
    lost = {"unjudged (why)": unjudged, "mixed": 20 - unjudged}
    step = FunnelStep(stage="consistency", dataset="fit", unit="questions", entered=20, left=0, lost=lost)
    with pytest.raises(UserError, match=rf"only 0 hallucinated answers in the fit split: {re.escape(said)}"):
        check_labelled([], "fit", [step])
