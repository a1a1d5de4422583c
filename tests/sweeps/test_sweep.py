"""Sweeps as a user meets them: real processes, killed where it hurts, on a tiny random model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hneuro.models.language_model import LanguageModel
from hneuro.questions.file import QuestionFile
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler
from hneuro.verdicts.words import normal_words

PARTS = Path(__file__).parent.parent / "parts"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, language_model: LanguageModel) -> list[str]:
    """Overrides of a cell that takes seconds: questions to half of which the gold answer is what the model says."""
    file = tmp_path_factory.mktemp("questions") / "q.jsonl"
    rows = [{"id": str(n), "question": f"What is number {n}?", "answers": ["x"]} for n in range(48)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sampler = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=5))
    said = sampler.sample(language_model, QuestionFile(path=str(file)).load().questions, 1, 0)
    for n, (row, response) in enumerate(zip(rows, said, strict=True)):
        if n % 2 and normal_words(response.text):
            row["answers"] = [response.text]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        *("model=hub", "model.name=tiny", f"model.chat.path={tiny_checkpoint}", "model.dtype=float32"),
        *("model.device=cpu", "dataset=file", f"dataset.identification.path={file}", "benchmark=none"),
        *("sampling.samples=2", "sampling.decoding.temperature=0", "sampling.decoding.max_new_tokens=5"),
        *("stability.resamples=0", "detection.control_seeds=2", "intervention.alphas=[0,1]", "quiet=true"),
        *("intervention.control_seeds=1", "intervention.ranked=3", "intervention.known_questions=4"),
    ]


def start(folder: Path, *words: str, **env: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "hneuro", *words]
    around = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{PARTS}{os.pathsep}{os.environ['PYTHONPATH']}"}
    return subprocess.Popen(
        command, cwd=folder, env=around | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, errors = process.communicate(timeout=240)
    return process.returncode, out, errors


def states(folder: Path) -> list[str]:
    return [json.loads(file.read_text())["state"] for file in folder.glob("outputs/hneuro/*/status.json")]


def results(folder: Path) -> dict[str, bytes]:
    return {file.parent.name: file.read_bytes() for file in folder.glob("outputs/hneuro/*/results.json")}


def until(condition: Iterator[object], process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 120
    while not next(condition):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)


def at_work(folder: Path) -> Iterator[list[int]]:
    """Ids of the processes that hold a run of the folder."""
    while True:
        yield [int(file.stem.rpartition("-")[2]) for file in folder.glob("outputs/hneuro/*/owner-*.lock")]


def test_a_sweep_killed_twice_is_finished_by_the_same_command_to_the_same_bits(
    words: list[str], tmp_path: Path
) -> None:
    """SIGKILL to a worker, which takes all others along with it in joblib, then to the launcher."""
    sweep = ["run", "-m", "launcher=joblib", *words, "labeling=three_vs_one,one_vs_one", "max_span_loss=1", "seed=0,1"]
    killed, straight = tmp_path / "killed", tmp_path / "straight"

    first = start(killed, *sweep)
    working = at_work(killed)
    until(working, first)
    os.kill(next(working)[0], signal.SIGKILL)
    until(iter(lambda: "done" in states(killed), None), first)
    workers = psutil.Process(first.pid).children(recursive=True)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    psutil.wait_procs(workers, timeout=60)  # they see that nobody wants them any more
    assert len(results(killed)) < 4

    shown = end(start(killed, "status", "outputs/sweeps"))
    assert shown[0] == 1
    assert " done" in shown[1]
    assert "hneuro run -m launcher=joblib" in shown[1]

    code, out, errors = end(start(killed, *sweep))
    assert code == 0, errors
    assert "4 done" in out
    assert end(start(straight, *sweep[:2], *sweep[3:]))[0] == 0
    assert len(results(killed)) == 4
    assert results(killed) == results(straight)

    before = {file: file.stat().st_mtime_ns for file in killed.glob("outputs/hneuro/*/status.json")}
    code, out, _ = end(start(killed, *sweep))
    assert code == 0
    assert "4 cells, 0 of them to run" in out
    assert before == {file: file.stat().st_mtime_ns for file in before}
    assert end(start(killed, "status", "outputs"))[0] == 0
