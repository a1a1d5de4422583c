"""The judge that is a model, against a real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import judging
import pytest
from judging import judge_node, llm_judge, question, response
from model_server import Fails, Received, model_server, says

from hneuro.config import build
from hneuro.records import UserError, Verdict


def asked(one: Received, what: str) -> Any:
    """A text of the first message, by the word in front of it."""
    content = str(one.body["messages"][0]["content"])
    line = next(line for line in content.splitlines() if line.startswith(what))
    return json.loads(line[line.index(": ") + 2 :])


def sensible(one: Received, before: int) -> Any:
    """Right if a gold answer is the response, refused if it says so."""
    said = asked(one, "Response")
    if "made up" in one.body["messages"][0]["content"]:
        return says(json.dumps({"reason": "r", "label": "refuses" if "know" in said else "claims"}))
    label = "correct" if said in asked(one, "Gold") else "refused" if "know" in said else "incorrect"
    return says(json.dumps({"reason": f"it says {said}", "label": label}))


def test_verdicts_come_in_order_with_reasons_and_the_judge_s_full_name(tmp_path: Path) -> None:
    paris, nobody = question("capital", "Paris", "paris", "The Paris"), question("nobody", answerable=False)
    pairs = [
        (paris, response("capital", "Paris")),
        (nobody, response("nobody", "Mr Smith")),
        (paris, response("capital", "Rome", 1)),
        (paris, response("capital", "I don't know", 2)),
        (nobody, response("nobody", "I don't know", 1)),
        (paris, response("capital", "Paris", 3)),
        (paris, response("capital", " \n", 4)),
    ]
    with model_server(sensible) as server:
        found = llm_judge(server.url, tmp_path).judge(pairs)
        assert [(j.question_id, j.sample) for j in found] == [(r.question_id, r.sample) for _, r in pairs]
        c, w, r, u = Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED
        assert [j.verdict for j in found] == [c, w, w, r, r, c, u]
        assert [j.reason for j in found[:3:2]] == ["it says Paris", "it says Rome"]
        assert found[-1].reason == "empty response"
        assert found[0].judge.startswith("llm/m/answer-v1-")
        assert found[1].judge.startswith("llm/m/fabricated-v1-")
        assert len(server.received) == 5  # equal responses once, and the empty one not at all
        assert asked(server.received[0], "Gold") == ["Paris"]
        assert all(body["temperature"] == 0 for body in server.bodies())


def test_nothing_is_dropped_and_nothing_is_guessed_whatever_the_server_does(tmp_path: Path) -> None:
    def answer(one: Received, before: int) -> Any:
        said = asked(one, "Response")
        wrong = {"nonsense": says("incorrect"), "slow": Fails(status=429, headers={"Retry-After": "0.1"})}
        return wrong.get(said, Fails(status=500) if said == "broken" else sensible(one, before))

    capital = question("capital", "Paris")
    texts = ["Paris", "nonsense", "slow", "broken", "Rome"]
    with model_server(answer) as server:
        found = llm_judge(server.url, tmp_path, stop_after=None).judge(
            [(capital, response("capital", t, n)) for n, t in enumerate(texts)]
        )
    kinds = [(j.verdict.value, j.reason.partition(":")[0]) for j in found]
    assert kinds == [
        ("correct", "it says Paris"),
        ("unjudged", "a reply that is not the JSON object"),
        ("unjudged", "rate limited"),
        ("unjudged", "a server error"),
        ("wrong", "it says Rome"),
    ]
    assert "'incorrect'" in found[1].reason


def test_the_prompts_that_are_shipped_do_not_mix_labels() -> None:
    node = judge_node()
    node["endpoint"] |= {"model": "m", "cache": None}
    node["answerable"]["labels"] = ["correct", "incorrect"]
    with pytest.raises(UserError, match="answerable: labels must be correct, incorrect, refused"):
        build(node, "judge")
    node["answerable"]["labels"] = ["correct", "incorrect", "refused"]
    node["answerable"]["prompt"] = "Is {respnse} right?"
    with pytest.raises(UserError, match=r"answerable: prompt must have the places \{answers\}, \{question\}"):
        build(node, "judge")


def test_killed_in_the_middle_of_judging_nothing_is_lost_and_nothing_asked_twice(tmp_path: Path) -> None:
    enough = threading.Event()
    kept_up = threading.Event()

    def answer(one: Received, before: int) -> Any:
        if len(server.received) > 20:
            if len(server.received) == 23:  # all three places are taken by later ones: the first 20 are kept
                enough.set()
            kept_up.wait(30)
        return sensible(one, before)

    with model_server(answer) as server:
        command = [sys.executable, judging.__file__, server.url, str(tmp_path)]
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert enough.wait(60)
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        kept_up.set()
        server.answer = sensible
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.split() == ["correct", "wrong"] * 30
        said = [asked(one, "Response") for one in server.received]
        answered, later = said[:20], said[23:]
        assert sorted(answered + later, key=int) == [str(n) for n in range(60)]
        assert set(said[20:23]) <= set(later)  # what the kill interrupted
