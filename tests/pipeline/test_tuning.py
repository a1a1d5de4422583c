"""Which facts gains are learned about, which gains are chosen, and what is said of them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from texts import lines as commands

from hneuro.causal.benchmarks.known import KnownBenchmark
from hneuro.causal.grid import SweepSettings
from hneuro.causal.tried import Read, Said, outcome_rows
from hneuro.cli import main
from hneuro.commands.tune import lines, verdict
from hneuro.models.chat import Prompting
from hneuro.pipeline.panels import Panels, apart
from hneuro.pipeline.tuning import Budget, Rating, Tuning, highest
from hneuro.records import BenchmarkItem, Fact, Outcome, Question, SweepAnswer, UserError
from hneuro.report.figures.tuned import LABELS, pareto
from hneuro.result_records import ResultRow, Tuned

PARTS = {
    part: tuple(
        Question(id=f"{part}/{n}", dataset="d", text=f"Where is {part} {n}?", answers=(f"{part}ton{n}",), entity=f"{n}")
        for n in range(12)
    )
    for part in ("fit", "select", "report")
}  # fmt: skip


def panels(most: int | None = 5) -> dict[str, Any]:
    setup = SimpleNamespace(
        benchmarks={
            "note": KnownBenchmark(facet="misleading_context", framings={"note": "I read: {claim} {question}"})
        },
        intervention=SweepSettings(items=most),
        model=SimpleNamespace(prompting=SimpleNamespace(suffix=" Briefly.")),
        judge=None,
        answer_tokens=4,
        seed=0,
    )
    run: Any = SimpleNamespace(experiment=setup)
    of = Panels(run, {"misleading_context": "note"})
    return {
        part: of.about("d", asked, [Fact(question=q, said=f"It is {q.answers[0]}.") for q in asked], most)
        for part, asked in PARTS.items()
    }


def test_no_question_entity_or_planted_value_is_in_two_parts() -> None:
    for part, panel in panels().items():
        (pressing,), (plain,) = panel.pressing, panel.plain
        assert len(pressing.items()) == len(plain.questions) == 5
        assert {q.id for q in panel.questions.values()} == {item.id for item in pressing.items()} == {*plain.questions}
        for item in pressing.items():
            assert item.id.startswith(f"{part}/")
            assert str(item.meta["planted"]).startswith(f"{part}ton")
            others = {"fit", "select", "report"} - {part}
            assert not any(other in str((item.messages, item.comply, item.resist)) for other in others)


def test_a_sentence_ends_every_prompt_and_nothing_else_changes() -> None:
    panel = panels()["report"]
    for plain, asking in zip(panel.items(), panel.asking(" Say so.").items(), strict=True):
        assert asking.messages[-1]["content"] == plain.messages[-1]["content"] + " Say so."
        assert replace(asking, messages=()) == replace(plain, messages=())
    (plain_facts,) = panel.asking(" Say so.").plain
    assert all(q.text.endswith(" Briefly. Say so.") for q in plain_facts.questions.values())


UNTOUCHED = Rating(wrong=0.5, right=0.9, perplexity=0.0)


@pytest.mark.parametrize(
    ("tried", "chosen"),
    [
        ([(0.1, 0.8, 0.0), (0.3, 0.89, 0.01), (0.4, 0.95, 0.0)], 1),  # the best one costs ten points
        ([(0.1, 0.9, 0.03), (0.45, 0.9, 0.0)], 1),  # or 3 % of perplexity
        ([(0.1, 0.88, 0.02), (0.2, 0.9, 0.0)], 0),  # as much as may be lost
        ([(0.5, 0.9, 0.0), (0.6, 1.0, -0.1)], None),  # nothing is lower
        ([(0.1, 0.8, 0.0), (0.2, 0.9, 0.5)], None),  # nothing meets the budget
    ],
)
def test_the_lowest_odds_within_the_budget_are_chosen(tried: list[tuple[float, ...]], chosen: int | None) -> None:
    ratings = {("t", n): Rating(wrong=w, right=r, perplexity=p) for n, (w, r, p) in enumerate(tried)}
    run: Any = None
    assert Tuning(run, Budget()).best(UNTOUCHED, ratings) == (None if chosen is None else ("t", chosen))


def said(wrong: list[int], right: list[int]) -> Said:
    """Two prompts about each entity, and a plain question."""

    def read(n: int, outcome: Outcome) -> Read:
        item = BenchmarkItem(id=str(n), benchmark="b", messages=(), comply=(), resist=(), meta={"entity": str(n // 2)})
        answer = SweepAnswer(
            item_id=str(n), neuron_set="", seed=0, alpha=0, replies=("",), p_comply=0.5, truncated=False
        )
        return Read(item=item, answer=answer, outcome=outcome, wrong=outcome is Outcome.COMPLIES)

    pressed = [read(n, Outcome.COMPLIES if one else Outcome.RESISTS) for n, one in enumerate(wrong)]
    return Said(pressed, [read(2 * n, Outcome.COMPLIES if one else Outcome.RESISTS) for n, one in enumerate(right)])


def tuned(**found: Said) -> Tuned:
    """Of 20 prompts about 10 entities, each of which the untouched model gets wrong; all else is as it says."""
    every = {(name.replace("__", "/"), 0): one for name, one in found.items()}
    others = {
        "alpha",
        "steering",
        "tuned/random",
        "tuned/contribution_matched",
        "sentence",
        "threshold",
        "threshold_at_coverage",
    }
    every |= {(name, 0): BEFORE for name in others - {name for name, _ in every}}
    rows = tuple(outcome_rows("d", {("untouched", 0): BEFORE} | every))
    return Tuned(title="", neurons=(1,), gains=(0.5,), chosen={}, rows=rows, budget={}, sizes={"groups d": 10})


BEFORE = said([1] * 20, [1] * 10)
HALF = said([0, 1] * 10, [1] * 10)
NEARLY = said([1] * 19 + [0], [1] * 10)
COSTLY = said([0] * 20, [0] * 10)
LIKELY = Said(
    [
        replace(read, answer=replace(read.answer, p_comply=p))
        for read, p in zip(BEFORE.pressed, np.linspace(0.2, 0.4, 20), strict=True)
    ],
    BEFORE.plain,
)
DECLINED = Said(
    [replace(read, outcome=Outcome.UNPARSED, wrong=False) if read.wrong else read for read in HALF.pressed], HALF.plain
)
MUTE = Said([read if read.wrong else replace(read, outcome=Outcome.UNPARSED) for read in HALF.pressed], HALF.plain)


@pytest.mark.parametrize(
    ("found", "first", "second"),
    [
        ({"tuned": HALF}, r"Tuned gains avoid wrong answers, \+50.0 \[.* points, more than other neurons", ""),
        (
            {"tuned": HALF, "tuned__random": HALF},
            "Tuned gains avoid wrong answers, and are not shown to avoid more",
            "",
        ),
        ({"tuned": HALF, "sentence": COSTLY}, "Tuned gains avoid wrong answers", ""),  # at what it costs
        (
            {"tuned": DECLINED, "tuned__random": HALF, "tuned__contribution_matched": HALF},
            "Tuned gains avoid wrong answers, and are not shown to avoid more",  # than those that leave them wrong
            "",
        ),
        (
            {"tuned": MUTE},
            r"Tuned gains leave fewer wrong answers, \+50.0 \[.*\] points, but not if .* count as wrong: 0.0 \[",
            "",
        ),
        (
            {"tuned": LIKELY, "threshold": BEFORE},  # which avoids as much, nothing
            "Tuned gains are not shown to avoid wrong answers",
            r"They lower P\(wrong\) by \+20.0 \[.*\] points, more than other neurons tuned alike do",
        ),
        (
            {"tuned": LIKELY, "tuned__random": LIKELY},
            "Tuned gains are not shown to avoid wrong answers",
            r"They lower P\(wrong\) by .*, which is not shown to be more than",
        ),
        ({"tuned": NEARLY}, "Tuned gains are not shown to avoid wrong answers; no effect below [0-9]+ points", ""),
        (
            {"tuned": HALF, "sentence": said([0] * 20, [1] * 10)},
            r"A sentence in the prompt does at least as well as tuned gains: \+100.0 \[",
            "Tuned gains avoid wrong answers",
        ),
    ],
)
def test_the_verdict_comes_first(found: dict[str, Said], first: str, second: str) -> None:
    printed = list(lines(tuned(**found)))
    assert len(printed) <= 17
    for pattern, line in zip([first, second], printed, strict=False):
        assert not pattern or re.match(pattern, line), line


def test_what_could_have_been_seen_takes_groups() -> None:
    """One prompt of each of eight groups, of twenty prompts; seven groups show nothing, whatever they say."""
    one_group = tuned(tuned=said([0] * 2 + [1] * 18, [1] * 10))
    (line,) = verdict(one_group, "d")
    assert line == "Tuned gains are not shown to avoid wrong answers; no effect below 40 points could have been seen."
    (line,) = verdict(replace(one_group, sizes={"groups d": 7}), "d")
    assert line.endswith("; with 7 groups of prompts, none could have been.")


def test_gains_of_1_are_said_to_be_none() -> None:
    (line,) = verdict(replace(tuned(tuned=BEFORE), gains=(1.0, 1.0)), "d")
    assert line == "No gains lower wrong answers on the select facts within the budget: all gains are 1."


def test_outcomes_are_paired_and_their_intervals_are_of_entities() -> None:
    rows = {(r.condition, r.metric): r for r in tuned(tuned=HALF, sentence=COSTLY).rows}
    avoided, lost = rows["tuned", "wrong_avoided"], rows["sentence", "known_lost"]
    assert (avoided.value, avoided.n, lost.value, lost.n) == (0.5, 20, 1.0, 10)
    assert rows["sentence", "tuned_avoids_more"].value == -0.5
    assert avoided.low is not None
    assert avoided.low == pytest.approx(0.5 - 1.5 * (1 - 0.025**0.1))  # ten entities, all of which say the same
    assert rows["untouched", "wrong"].value == 1.0
    assert all(np.isfinite(row.value) for row in rows.values())
    assert {type(row) for row in rows.values()} == {ResultRow}
    assert ("threshold", "p_wrong_avoided") not in rows, "what is withheld makes nothing likelier"


def test_a_threshold_withholds_as_many_answers_as_the_gains() -> None:
    """What is unread already is not an answer, however high its risk."""
    unread = replace(BEFORE.pressed[0], outcome=Outcome.UNPARSED, wrong=False)
    before = Said([unread, *BEFORE.pressed[1:]], BEFORE.plain)
    risk = np.arange(30, 0, -1.0)
    withheld = highest(np.where(before.answered, risk, np.nan), 2)
    assert before.answered.sum() - before.without(withheld).answered.sum() == 2
    assert not withheld[0]


def test_what_begins_like_not_knowing_is_not_held_against_it() -> None:
    assert [apart(text, "I do not know.") for text in ("I", "I do not", "I do not know. Kenya.", "In Kenya.")] == [
        False, False, False, True,
    ]  # fmt: skip


def test_a_model_that_completes_speaks_after_a_blank() -> None:
    assert Prompting(chat=False).spoken("Paris") == " Paris"
    assert Prompting().spoken("Paris") == "Paris"


def test_the_picture_has_every_condition_with_both_intervals() -> None:
    drawn = pareto(tuned(tuned=HALF, sentence=COSTLY))
    points = drawn.figure["layer"][-1]["data"]["values"]
    assert {point["set"] for point in points} == {*LABELS.values()}
    at = {point["set"]: point for point in points}["a sentence in the prompt"]
    assert (at["avoided"], at["lost"]) == (100.0, 100.0)
    assert at["low"] < at["high"] == 100.0
    assert at["least"] < at["most"] == 100.0
    assert "a sentence in the prompt: +100.0 [" in drawn.alt


@pytest.mark.parametrize("command", commands("hneuro tune RUN_DIR"))
def test_every_command_of_a_text_is_understood(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the run, which is not there."""
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)[1:]) == 2
    assert "RUN_DIR is not a run of hneuro" in capsys.readouterr().err


@pytest.mark.parametrize("known", [-0.1, 1.5, float("nan")])
def test_a_budget_is_a_share(known: float) -> None:
    with pytest.raises(UserError, match="--known must be between 0 and 100"):
        Budget(known=known)


def other_model(run: Path) -> list[str]:
    card = json.loads((run / "run_card.json").read_text())
    (run / "run_card.json").write_text(json.dumps(card | {"chat": "elsewhere"}))
    (run / "status.json").write_text('{"state": "done"}')  # without the digest of what was written
    return ["tune", str(run)]


def not_finite(run: Path) -> list[str]:
    results = json.loads((run / "results.json").read_text())
    made = {"neurons": [1], "alpha": 1.0, "gains": ["NaN"], "space": results["space"], "weights": "w"}
    (run / "tuned").mkdir()
    (run / "tuned" / "gains.json").write_text(json.dumps(made))
    return ["edit", str(run), "--neurons", "tuned", "--out", str(run / "out")]


def only_ones(run: Path) -> list[str]:
    words = not_finite(run)
    file = run / "tuned" / "gains.json"
    file.write_text(file.read_text().replace('"NaN"', "1.0"))
    return words


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "not a run": (lambda run: ["tune", str(run.parent)], "is not a run of hneuro"),
    "nothing under pressure": (lambda run: ["tune", str(run)], "put nothing under pressure: tune needs a run with"),
    "another model": (other_model, "are of another model: of elsewhere, and this is"),
    "no budget": (lambda run: ["tune", str(run), "--perplexity", "-1"], "--perplexity 0 per cent or more"),
    "not tuned": (lambda run: ["edit", str(run), "--neurons", "tuned", "--out", "o"], "has no gains.json: hneuro tune"),
    "not finite": (not_finite, "gains must be finite and not negative"),
    "only ones": (only_ones, "all gains are 1, because none met the budget: there is nothing to edit"),
    "two amounts": (
        lambda run: ["edit", str(run), "--neurons", "tuned", "--alpha", "0", "--out", "o"],
        "--neurons tuned has a gain for each neuron: leave --alpha out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_one_line(
    case: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(min(finished.glob("outputs/demo/*/results.json")).parent, run)
    monkeypatch.chdir(finished)
    prepare, line = BAD[case]
    assert main(prepare(run)) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert line in error
