"""A threshold is a promise, which is kept on answers that nobody has seen as often as it says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from hneuro.config import config_folder
from hneuro.detector import Answer
from hneuro.records import UserError
from hneuro.result_records import Calibration
from hneuro.serve.policy import Limit, Policy, load_policy, upper_bound

DRAW = np.random.default_rng(5)


def answers(n: int) -> tuple[Any, Any]:
    wrong = DRAW.random(n) < 0.4
    return DRAW.normal(1.5 * wrong, 1.0), wrong


def detector(scores: Any, wrong: Any) -> Any:
    kept = Calibration(slope=1.0, offset=0.0, log_odds=tuple(scores), hallucinated=tuple(wrong), dataset="made")
    return SimpleNamespace(calibration=kept, classifier=SimpleNamespace(threshold=0.25))


@pytest.mark.parametrize("promise", ["false_alarms", "passed_errors"])
def test_the_promise_is_broken_no_more_often_than_it_says(promise: Any) -> None:
    policy = Policy(promise=promise, at_most=0.2, confidence=0.9)
    scores, wrong = answers(100_000)
    broken = []
    for _ in range(200):
        try:
            limit = policy.limit(detector(*answers(400)))
        except UserError:  # nothing is promised
            broken.append(False)
            continue
        seen = ~wrong if promise == "false_alarms" else scores <= limit.log_odds
        missed = scores > limit.log_odds if promise == "false_alarms" else wrong
        broken.append(missed[seen].mean() > 0.2)
    assert sum(broken) <= binom.ppf(0.999, 200, 0.1)
    assert promise == "passed_errors" or sum(broken) >= binom.ppf(0.001, 200, 0.04), "nor is it kept by saying nothing"


def test_the_bound_is_that_of_clopper_and_pearson() -> None:
    for count, n in ((0, 29), (3, 50), (40, 60)):
        assert binom.cdf(count, n, upper_bound(count, n, 0.95)) == pytest.approx(0.05)
    assert upper_bound(5, 5, 0.95) == 1.0 == upper_bound(0, 0, 0.95)


def test_too_few_answers_promise_nothing() -> None:
    scores, wrong = np.zeros(28), np.zeros(28, dtype=bool)
    with pytest.raises(UserError, match=r"28 right answers were held out, too few to promise at most 10% .*: 29 are"):
        Policy(promise="false_alarms").limit(detector(scores, wrong))
    Policy(promise="false_alarms").limit(detector(np.zeros(29), np.zeros(29, dtype=bool)))
    with pytest.raises(UserError, match="on 28 held-out answers, 0 of them hallucinated, no threshold keeps"):
        Policy(promise="passed_errors", at_most=0.05).limit(detector(scores, wrong))
    with pytest.raises(UserError, match="was saved without: run the experiment again"):
        Policy(promise="passed_errors").limit(SimpleNamespace(calibration=None))  # type: ignore[arg-type]


def test_what_cannot_be_read_is_never_clean() -> None:
    said = Answer(question="", text="x", tokens=("x",), risk=np.zeros(1), stated=(0,), score=0.2, threshold=0.5)
    policy = Policy(above="hold", unchecked="abstain")
    limit = Limit(0.0, "")
    assert (policy.decide(said, limit).action, policy.decide(said, limit).flagged) == ("pass", False)
    assert policy.decide(replace(said, score=0.6), limit).action == "hold"
    unread = policy.decide(replace(said, unchecked="because", score=0.1), limit)
    assert (unread.action, unread.flagged) == ("abstain", None)
    with pytest.raises(ValueError, match="unchecked=pass would show as clean"):
        Policy(above="hold", unchecked="pass")


def test_policies_have_names(tmp_path: Path) -> None:
    files = sorted((config_folder() / "policy").glob("*.yaml"))
    assert [file.stem for file in files] == ["abstain", "alarms", "flag", "hold"]
    assert all(file.read_text().startswith("# ") for file in files)
    assert [load_policy(name).above for name in ("flag", "alarms", "hold", "abstain")] == [
        *("flag", "flag", "hold", "abstain")
    ]
    assert [load_policy(name).withholds for name in ("flag", "hold")] == [False, True]
    with pytest.raises(UserError, match="one of abstain, alarms, flag, hold"):
        load_policy("none")
    (tmp_path / "my.yaml").write_text("_target_: hneuro.serve.policy.Policy\nat_most: 2\n")
    with pytest.raises(UserError, match="policy"):
        load_policy(str(tmp_path / "my.yaml"))
    (tmp_path / "my.yaml").write_text("_target_: hneuro.responses.decoding.Decoding\n")
    with pytest.raises(UserError, match=r"describes a Decoding, not a hneuro\.serve\.policy\.Policy"):
        load_policy(str(tmp_path / "my.yaml"))
