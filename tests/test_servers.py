"""The whole method with a server that samples and a server that judges, beside the rule."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import Answer, Fails, ModelServer, Received, Says, model_server, says

from hneuro.cli import main
from hneuro.codec import from_plain
from hneuro.result_records import Results

SECRET = "sk-secret-of-the-whole-run-42"


def answer(one: Received, before: int) -> Answer:
    """Samples: right for even numbers. Judges: by the gold answer, but calls every 8 wrong, and knows nothing of 13."""
    if one.path.endswith("/completions") and "prompt" in one.body:
        asked = re.findall(r"\d+", TOKENIZER.decode(one.body["prompt"]))[0]
        text = f"It is {asked}." if int(asked) % 2 == 0 else f"It is {int(asked) + 1}."
        return Says(choices=(text,) * one.body.get("n", 1), usage=None)
    content = one.body["messages"][0]["content"]
    gold = json.loads(re.search(r"Gold answers.*: (\[.*\])", content)[1])  # type: ignore[index]
    response = json.loads(re.search(r"Response: (.*)", content)[1])  # type: ignore[index]
    if gold == ["13"]:
        return says(f"I would rather not say. {one.headers['authorization']}")
    right = gold[0] in re.findall(r"\d+", response) and "8" not in gold[0]
    return says(json.dumps({"reason": "as it is", "label": "correct" if right else "incorrect"}))


TOKENIZER: Any = None


@pytest.fixture
def server(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelServer]:
    global TOKENIZER
    TOKENIZER = tokenizer
    monkeypatch.setenv("TEST_KEY", SECRET)
    with model_server(answer) as running:
        yield running


def words(folder: Path, checkpoint: Path, server: ModelServer) -> list[str]:
    rows = [{"id": f"q{n}", "question": f"What is number {n}?", "answers": [str(n)]} for n in range(120)]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    endpoint = {"model": "served", "base_url": server.url, "retries": 0, "api_key_env": "TEST_KEY"}
    return [
        "model=hub", "model.name=tiny", f"model.chat.path={checkpoint}", "model.dtype=float32", "model.device=cpu",
        "dataset=file", "dataset.identification.path=q.jsonl", "benchmark=none", "quiet=true", "stability=none",
        "sampling=server", "sampling.samples=2", "judge=vote", "judge.rule=majority", "detection.control_seeds=2",
        "detection.controls=[random]", "intervention.alphas=[0,1]", "intervention.control_seeds=1",
        "intervention.controls=[random]", "intervention.ranked=0", "intervention.known_questions=2",
        *(f"sampling.endpoint.{name}={value}" for name, value in endpoint.items()),
        *(f"judge.members.llm.endpoint.{name}={value}" for name, value in endpoint.items()),
    ]  # fmt: skip


def test_a_whole_run_from_servers_and_its_disagreements(
    server: ModelServer,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", *words(tmp_path, tiny_checkpoint, server)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "asked served: " in said.out
    (run,) = tmp_path.glob("outputs/hneuro/*")
    results = from_plain(Results, json.loads((run / "results.json").read_text()))

    # Every question was sampled and judged once, and what a judge cannot say stays unsaid.
    sampled = [body["prompt"] for body in server.bodies() if "prompt" in body]
    assert len(sampled) >= 60
    (agreement,) = results.agreements
    assert agreement.second.startswith("llm (llm/served/answer-v1-")
    assert agreement.agree.n > 50
    assert 0.8 < agreement.agree.value < 1
    read = [json.loads(line) for line in (run / "disagreements.jsonl").read_text().splitlines()]
    assert {row["gold"][0] for row in read} <= {str(n) for n in range(120) if "8" in str(n)}
    assert all(len(row["votes"]) == 2 and row["response"] and row["votes"][1]["reason"] for row in read)
    unjudged = {why: n for step in results.funnel for why, n in step.lost.items() if why.startswith("unjudged")}
    assert any(why.startswith("unjudged (no majority") for why in unjudged)
    assert results.facts["judge"] == "majority of rule, llm"
    page = (run / "report.html").read_text()
    assert "Agreement of the " in page  # judges, a word of the glossary
    assert "disagreements.jsonl" in page
    assert (run / "tables" / "judges.csv").read_text().startswith("first,second,agreement")

    # Log-probabilities that no server told leave their baselines out, with a count.
    baselines = [step for step in results.funnel if step.stage.startswith("baseline")]
    assert {step.stage for step in baselines} == {"baseline logprob", "baseline entropy"}
    assert all(step.left == 0 for step in baselines)
    detection = {row.condition for row in results.rows if row.stage == "detection"}
    assert "length" in detection
    assert "logprob" not in detection

    # Again without the key: everything is there, nobody is asked.
    asked = len(server.received)
    monkeypatch.delenv("TEST_KEY")
    assert main(command) == 0
    assert len(server.received) == asked
    assert "(0 stages computed" in capsys.readouterr().out
    assert all(one.headers["authorization"] == f"Bearer {SECRET}" for one in server.received)
    everything = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(everything) > 50
    for file in everything:
        assert SECRET.encode() not in file.read_bytes(), file
    assert SECRET not in said.out + said.err


def test_a_key_that_is_missing_is_said_before_anything_is_sampled(
    server: ModelServer, tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEST_KEY")
    sampling = [
        word for word in words(tmp_path, tiny_checkpoint, server) if not word.startswith("sampling.endpoint.api")
    ]
    assert main(["run", *sampling]) == 2
    assert "error: the API key of served is missing: set the environment variable TEST_KEY" in capsys.readouterr().err
    assert not server.received


def test_a_server_that_fails_in_the_middle_of_a_run_stops_it_with_its_work_kept(
    server: ModelServer, tmp_path: Path, tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    leak = Fails(status=500, body=json.dumps({"error": {"message": f"Bearer {SECRET}"}}))
    # Written where the answer is made: requests overlap, and the order they arrive in does not say it.
    answered: list[str] = []

    def thirty(one: Received, before: int) -> Answer:
        if len(answered) == 30:
            return leak
        answered.append(json.dumps(one.body))
        return answer(one, before)

    server.answer = thirty
    command = ["run", *words(tmp_path, tiny_checkpoint, server), "sampling.endpoint.stop_after=3"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "requests in a row to served" in said
    assert SECRET not in said
    (status,) = tmp_path.glob("outputs/hneuro/*/status.json")
    assert json.loads(status.read_text())["state"] == "failed"
    assert SECRET not in status.read_text()
    received = len(server.received)
    server.answer = answer
    assert main(command) == 0
    assert not set(answered) & {json.dumps(body) for body in server.bodies()[received:]}
