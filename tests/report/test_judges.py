"""What the report says of several judges."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hneuro.codec import from_plain, to_plain
from hneuro.records import Verdict, Vote
from hneuro.report.page import write_report
from hneuro.result_records import Agreement, Disagreement, Estimate, FrequentText, Results

RULE, LLM = "rule (rule/contains)", "llm (llm/m/answer-v1-abc123)"


@pytest.fixture
def judged(small: Results) -> Results:
    agreement = Agreement(
        first=RULE, second=LLM, agree=Estimate(value=0.9, low=0.85, high=0.93, n=200), kappa=0.78, unsaid=4,
        confusion=((90, 12, 0, 1), (8, 90, 0, 0), (0, 0, 0, 3), (0, 0, 0, 0)),
    )  # fmt: skip
    alone = replace(agreement, second="other", kappa=None)
    votes = (
        Vote(judge=RULE, verdict=Verdict.CORRECT, reason="states 'paris'"),
        Vote(judge=LLM, verdict=Verdict.WRONG, reason="<b>denies</b> it"),
    )
    read = Disagreement(
        dataset="people", question_id="q1", question="Where?", gold=("Paris",), response="Not Paris\u2028", count=3,
        verdict=Verdict.UNJUDGED, votes=votes,
    )  # fmt: skip
    return replace(small, agreements=(agreement, alone), disagreements=(read,))


def test_agreement_is_a_table_and_the_disagreements_a_file_to_read(judged: Results, tmp_path: Path) -> None:
    html = write_report(judged, tmp_path).read_text(encoding="utf-8")
    assert "How far the judges agree" in html
    assert "90.0 % [85.0, 93.0]" in html
    frame = pd.read_csv(tmp_path / "tables" / "judges.csv")
    assert frame.loc[0, ["agreement", "n", "kappa", "unsaid"]].tolist() == [0.9, 200, 0.78, 4]
    assert frame.isna().loc[1, "kappa"]
    counts = pd.read_csv(tmp_path / "tables" / "judges_confusion.csv")
    assert counts.loc[0, ["first_says", "correct", "wrong", "refused", "unjudged"]].tolist() == [
        "correct",
        90,
        12,
        0,
        1,
    ]
    assert len(counts) == 2 * 3  # rows of nothing are left out
    (line,) = (tmp_path / "disagreements.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    assert from_plain(Disagreement, json.loads(line)) == judged.disagreements[0]
    plain = to_plain(judged)  # NaN, of what was not measured, equals nothing
    assert to_plain(from_plain(Results, json.loads(json.dumps(plain)))) == plain


def test_the_commonest_texts_of_each_kind_are_a_table(small: Results, tmp_path: Path) -> None:
    texts = (
        FrequentText(verdict=Verdict.WRONG, text="<b>in</b> Rome " + "x " * 200, count=9),
        FrequentText(verdict=Verdict.UNJUDGED, text="", count=3),
    )
    html = write_report(replace(small, frequent=texts), tmp_path).read_text(encoding="utf-8")
    assert "What was judged wrong, refused or unjudged most often" in html
    assert "&lt;b&gt;in&lt;/b&gt; Rome" in html
    assert "(empty)" in html
    assert "x ..." in html
    frame = pd.read_csv(tmp_path / "tables" / "frequent_texts.csv", keep_default_na=False)
    assert frame.values.tolist() == [["wrong", texts[0].text, 9], ["unjudged", "", 3]]
    assert "refused or unjudged" not in write_report(small, tmp_path).read_text(encoding="utf-8")


def test_one_judge_has_no_table_and_leaves_no_file_of_an_earlier_run(
    judged: Results, small: Results, tmp_path: Path
) -> None:
    write_report(judged, tmp_path)
    html = write_report(small, tmp_path).read_text(encoding="utf-8")
    assert "How far the judges agree" not in html
    assert "disagreements.jsonl" not in html
    assert not (tmp_path / "disagreements.jsonl").exists()
