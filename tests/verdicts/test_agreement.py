"""How far judges agree, counted against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from judging import question, response
from sklearn.metrics import cohen_kappa_score

from hneuro.records import Judgement, Verdict, Vote
from hneuro.verdicts.agreement import SAID, Judged, agreements, disagreements, frequent_texts

C, W, R, U = Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED


def judged(name: str, text: str, *verdicts: Verdict, sample: int = 0) -> Judged:
    cast = tuple(Vote(judge=f"j{n}", verdict=v, reason=f"r{n}") for n, v in enumerate(verdicts))
    found = Judgement(question_id=name, sample=sample, verdict=verdicts[0], judge="vote", reason="", votes=cast)
    return question(name, "gold"), response(name, text, sample), found


def test_agreement_kappa_and_confusion_of_two_judges() -> None:
    draw = np.random.default_rng(0)
    pairs = [(SAID[int(a)], SAID[int(b)]) for a, b in draw.integers(0, 4, (400, 2))]
    pairs += [(v, v) for v in (C, W, R) for _ in range(100)]
    (found,) = agreements([judged(str(n), "text", *pair) for n, pair in enumerate(pairs)])
    said = [pair for pair in pairs if U not in pair]
    assert (found.first, found.second) == ("j0", "j1")
    assert found.agree.n == len(said)
    assert found.agree.value == pytest.approx(sum(a is b for a, b in said) / len(said))
    assert found.agree.low < found.agree.value < found.agree.high
    assert found.kappa == pytest.approx(cohen_kappa_score([a.value for a, _ in said], [b.value for _, b in said]))
    assert found.unsaid == len(pairs) - len(said)
    assert sum(map(sum, found.confusion)) == len(pairs)
    assert found.confusion[0][1] == pairs.count((C, W))


def test_equal_responses_to_a_question_count_once() -> None:
    same = [judged("q", "Paris", C, C, sample=n) for n in range(9)]
    (found,) = agreements([*same, judged("q", "Rome", W, C), judged("p", "Paris", W, W)])
    assert found.agree.n == 3
    assert found.agree.value == pytest.approx(2 / 3)


def test_three_judges_make_three_pairs_and_one_makes_none() -> None:
    found = agreements([judged("a", "x", C, W, C), judged("b", "y", W, W, W)])
    assert [(a.first, a.second, a.agree.value) for a in found] == [
        ("j0", "j1", 0.5), ("j0", "j2", 1.0), ("j1", "j2", 0.5),
    ]  # fmt: skip
    assert agreements([judged("a", "x", C)]) == ()
    assert agreements([judged("a", "x", U, C)]) == ()
    assert agreements([]) == ()


def test_kappa_of_one_verdict_alone_is_not_known() -> None:
    (found,) = agreements([judged(str(n), "x", C, C) for n in range(5)])
    assert (found.agree.value, found.kappa) == (1.0, None)


def test_disagreements_can_be_read_and_are_each_there_once() -> None:
    said = [judged("q", "Rome", W, C, sample=n) for n in range(4)]
    (found,) = disagreements([*said, judged("q", "Paris", C, C), judged("p", "x", U, C), judged("p", "y", U, W)])
    assert (found.question_id, found.question, found.gold, found.response, found.count) == (
        "q",
        "q?",
        ("gold",),
        "Rome",
        4,
    )
    assert [(v.judge, v.verdict, v.reason) for v in found.votes] == [("j0", W, "r0"), ("j1", C, "r1")]


def test_the_commonest_texts_of_a_kind_are_counted_over_all_questions() -> None:
    said = [judged(str(n), text, W) for n, text in enumerate(["no\n clue", "no clue", "Lyon", *"fedcba"])]
    found = frequent_texts([*said, judged("p", "no clue", C), judged("p", "Pass", R, sample=1), judged("p", "Pass", R)])
    assert [(f.verdict, f.text, f.count) for f in found] == [
        (W, "no clue", 2), (W, "Lyon", 1), (W, "a", 1), (W, "b", 1), (W, "c", 1), (R, "Pass", 2)
    ]  # fmt: skip
