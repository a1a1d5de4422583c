"""FaithEval: frames, options, and how answers are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.faitheval import FaithEval
from hneuro.records import Outcome, UserError

ROW: dict[str, Any] = {
    "id": "Mercury_1",
    "context": "Ice is warm, {question} says.",
    "question": "What is ice?",
    "choices": {"label": ["A", "B", "C"], "text": ["cold", "warm", "a gas"]},
    "answerKey": "B",
    "num of options": 3,
}


def source(folder: Path, *rows: dict[str, Any], **settings: Any) -> FaithEval:
    (folder / "f.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return FaithEval(path=str(folder / "f.jsonl"), **settings)


def test_two_frames_of_different_names(tmp_path: Path) -> None:
    """The frame moves the rate, so it stands in the name of the results."""
    context, resist = source(tmp_path, ROW), source(tmp_path, ROW, framing="resist")
    assert (context.name, resist.name) == ("faitheval_context", "faitheval_resist")
    assert isinstance(context, Benchmark)
    asked = context.items()[0].messages[0]["content"]
    assert asked.endswith(
        "Context: Ice is warm, {question} says.\nQuestion: What is ice?\nA) cold\nB) warm\nC) a gas\nAnswer:"
    )
    assert "from what you know" in resist.items()[0].messages[0]["content"]
    assert "from what you know" not in asked


def test_answers_are_read_by_letter_or_text(tmp_path: Path) -> None:
    benchmark = source(tmp_path, ROW)
    (item,) = benchmark.items()
    for text, outcome in (
        ("B) warm", Outcome.COMPLIES),
        ("It is warm.", Outcome.COMPLIES),
        ("A", Outcome.RESISTS),
        ("Cold", Outcome.RESISTS),
        ("Water", Outcome.UNPARSED),
        ("I cannot answer that.", Outcome.REFUSED),
        ("I cannot help with that.", Outcome.REFUSED),
        ("Because it melts", Outcome.UNPARSED),
    ):
        assert benchmark.outcome(item, text) is outcome


def test_numbered_options_with_a_letter_as_key(tmp_path: Path) -> None:
    """18 of the 1,000: a reader that compares "2" with "B" counts all of them as resisting."""
    row = ROW | {"choices": {"label": ["1", "2", "3"], "text": ["cold", "warm", "a gas"]}}
    benchmark = source(tmp_path, row)
    (item,) = benchmark.items()
    assert item.meta["counterfactual"] == "2"
    assert benchmark.outcome(item, "2) warm") is Outcome.COMPLIES
    assert benchmark.outcome(item, "1) cold") is Outcome.RESISTS


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"answerKey": "E"}, "row 1: 'answerKey' 'E' is none of A, B, C"),
        ({"choices": ["cold", "warm"]}, "'choices' must have as many labels as texts"),
        ({"choices": {"label": ["A", "B"], "text": ["cold"]}}, "'choices' must have as many labels as texts"),
    ],
)
def test_what_is_no_row_is_refused(tmp_path: Path, other: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as fault:
        source(tmp_path, ROW | other).items()
    assert said in str(fault.value)
