"""Which questions are kept, and which response stands for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from judging import question, response

from hneuro.probe.consistency import Pair, consistent, single
from hneuro.records import Judgement, Response, Verdict

C, W, R, U = Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED


def said(name: str, texts: Sequence[str]) -> list[Response]:
    return [response(name, text, n) for n, text in enumerate(texts)]


def judged(name: str, verdicts: Sequence[Verdict], reason: str = "") -> list[Judgement]:
    return [Judgement(question_id=name, sample=n, verdict=v, judge="j", reason=reason) for n, v in enumerate(verdicts)]


def pairs(responses: Sequence[Response], verdicts: Mapping[str, Sequence[Verdict]]) -> list[Pair]:
    return list(zip(responses, [j for name, own in verdicts.items() for j in judged(name, own)], strict=True))


def test_only_questions_with_one_verdict_are_kept_and_the_rest_counted() -> None:
    """A refusal among wrong answers is not a consistent hallucination."""
    verdicts = {
        "right": [C, C, C], "wrong": [W, W, W], "mixed": [C, W, C], "hedging": [W, R, W], "silent": [R, R, R],
        "unjudged": [W, U, W], "careful": [C, R, C],
    }  # fmt: skip
    questions = [question(name) for name in verdicts]
    responses = [r for name in verdicts for r in said(name, ["a", "b", "c"])]
    kept, step = consistent(questions, pairs(responses, verdicts), "d")
    assert [(r.question_id, r.group, r.hallucinated) for r in kept] == [
        ("right", "right", False),
        ("wrong", "wrong", True),
    ]
    assert (step.stage, step.unit, step.entered, step.left) == ("consistency", "questions", 7, 2)
    assert step.lost == {
        "sometimes right, sometimes wrong": 2,
        "sometimes refused": 1,
        "refused": 1,
        "unjudged": 1,
    }


def test_about_what_does_not_exist_consistent_refusal_is_right() -> None:
    verdicts = {"refused": [R, R, R], "answered": [W, W, W], "hedging": [W, R, W]}
    questions = [question(name, answerable=False) for name in verdicts]
    responses = [r for name in verdicts for r in said(name, ["a", "b", "c"])]
    kept, step = consistent(questions, pairs(responses, verdicts), "d")
    assert [(r.question_id, r.hallucinated) for r in kept] == [("refused", False), ("answered", True)]
    assert step.lost == {"sometimes refused": 1}


@pytest.mark.parametrize(
    ("texts", "chosen"),
    [(["b", "a", "a"], 1), (["b", "a", "a", "b"], 0), (["c", "a", "b"], 0), (["c", "b", "a", "b", "a"], 1)],
)
def test_the_most_frequent_response_stands_for_its_question_the_first_drawn_of_a_tie(
    texts: list[str], chosen: int
) -> None:
    """The published code breaks ties by the order of a set, which no second run repeats."""
    kept, _ = consistent([question("q")], list(zip(said("q", texts), judged("q", [W] * len(texts)), strict=True)), "d")
    assert kept[0].sample == chosen


def test_letters_must_all_be_the_same() -> None:
    """Draws that give two wrong letters disagree, though their verdicts do not."""
    letters = {"right": "BBB", "wrong": "AAA", "two wrong": "ACA", "mixed": "BBA"}
    questions = [question(name) for name in letters]
    responses = [r for name, texts in letters.items() for r in said(name, texts)]
    judgements = [j for name, texts in letters.items() for j in judged(name, [C if t == "B" else W for t in texts])]
    kept, step = consistent(questions, list(zip(responses, judgements, strict=True)), "d", letters=True)
    assert [(r.question_id, r.sample, r.hallucinated) for r in kept] == [("right", 0, False), ("wrong", 0, True)]
    assert step.lost == {"draws disagree": 2}
    kept, step = consistent(questions, list(zip(responses, judgements, strict=True)), "d")
    assert [r.question_id for r in kept] == ["right", "wrong", "two wrong"]


def test_the_funnel_says_what_kind_of_failure_left_responses_unjudged() -> None:
    judgements = judged("a", [U, U], "rate limited: status 429") + judged("b", [C, U], "rate limited: at noon")
    _, step = consistent(
        [question("a"), question("b")], list(zip(said("a", "xy") + said("b", "xy"), judgements, strict=True)), "d"
    )
    assert step.lost == {"unjudged (rate limited)": 2}
    _, step = single([question("a")], list(zip(said("a", "x"), judged("a", [U], "empty response"), strict=True)), "d")
    assert step.lost == {"unjudged (empty response)": 1}


def test_single_samples_need_no_agreement() -> None:
    verdicts = {"right": C, "wrong": W, "silent": R, "unjudged": U}
    judgements = [j for name, v in verdicts.items() for j in judged(name, [v])]
    responses = [r for name in verdicts for r in said(name, "x")]
    kept, step = single([question(name) for name in verdicts], list(zip(responses, judgements, strict=True)), "d")
    assert [(r.question_id, r.sample, r.hallucinated) for r in kept] == [("right", 0, False), ("wrong", 0, True)]
    assert (step.stage, step.unit, step.entered, step.left) == ("verdicts", "responses", 4, 2)
    assert step.lost == {"refused": 1, "unjudged": 1}


def test_refusing_is_right_about_what_does_not_exist() -> None:
    """And nothing else is, though a judge should find a gold answer there."""
    verdicts = {"invented": W, "silent": R, "unjudged": U, "odd": C}
    judgements = [j for name, v in verdicts.items() for j in judged(name, [v])]
    responses = [r for name in verdicts for r in said(name, "x")]
    kept, step = single(
        [question(name, answerable=False) for name in verdicts], list(zip(responses, judgements, strict=True)), "d"
    )
    assert [(r.question_id, r.hallucinated) for r in kept] == [("invented", True), ("silent", False)]
    assert sum(step.lost.values()) == step.entered - step.left == 2


def test_wrong_answers_that_name_none_of_all_answers_are_not_kept() -> None:
    """They have no answer tokens: kept and balanced, they would take the place of answers that have some."""
    texts = {"located": ["It is in Mexico."] * 2, "elsewhere": ["Mexico", "in the south of Africa"], "right": ["x"] * 2}
    verdicts = {"located": [W, W], "elsewhere": [W, W], "right": [C, C]}
    questions = [question(name, candidates=("Japan", "Mexico")) for name in verdicts]
    responses = [r for name, own in texts.items() for r in said(name, own)]
    kept, step = consistent(questions, pairs(responses, verdicts), "d")
    assert [r.question_id for r in kept] == ["located", "right"]
    assert step.lost == {"names no answer of the kind": 1}
    once, step = single(questions, pairs(responses, verdicts)[1::2], "d")
    assert [r.question_id for r in once] == ["located", "right"]
    assert step.lost == {"names no answer of the kind": 1}
