"""Sweeps as a user meets them: real processes, killed where it hurts, on a tiny random model."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest
from processes import end, start
from tiny_cell import tiny_cell

from hneuro.cli import main
from hneuro.models.language_model import LanguageModel


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, language_model: LanguageModel) -> list[str]:
    return tiny_cell(tmp_path_factory.mktemp("questions"), tiny_checkpoint, language_model)


def states(folder: Path) -> list[str]:
    return [json.loads(file.read_text())["state"] for file in folder.glob("outputs/hneuro/*/status.json")]


def results(folder: Path) -> dict[str, bytes]:
    """Everything that was computed, byte by byte."""
    store = folder / "outputs" / "store"
    files = [file for file in store.glob("*/*/*") if file.is_file()]
    return {str(file.relative_to(store)): file.read_bytes() for file in files}


def until(condition: Callable[[], object], process: BaseProcess) -> None:
    limit = time.monotonic() + 120
    while not condition():
        assert process.exitcode is None
        assert time.monotonic() < limit
        time.sleep(0.01)


def at_work(folder: Path) -> list[int]:
    """Ids of the processes that hold a run of the folder."""
    return [int(file.stem.rpartition("-")[2]) for file in folder.glob("outputs/hneuro/*/owner-*.lock")]


def test_a_sweep_killed_twice_is_finished_by_the_same_command_to_the_same_bits(
    words: list[str], tmp_path: Path
) -> None:
    """SIGKILL to a worker, which takes all others along with it in joblib, then to the launcher."""
    cells = [*words, "until=contributions", "seed=0,1,2,3"]
    sweep = ["run", "-m", "launcher=joblib", *cells]
    killed, straight = tmp_path / "killed", tmp_path / "straight"

    first = start(killed, *sweep)
    until(lambda: at_work(killed), first)
    os.kill(at_work(killed)[0], signal.SIGKILL)
    until(lambda: "done" in states(killed), first)
    workers = psutil.Process(first.pid).children(recursive=True)
    first.kill()
    first.join()
    _, left = psutil.wait_procs(workers, timeout=60)
    assert not left  # they see that nobody wants them any more
    assert "the launcher has broken down" in (killed / "errors").read_text()

    code, out, _ = end(start(killed, "status", "outputs/sweeps"), killed)
    assert code == 1
    assert "4 done" not in out
    assert "hneuro run -m launcher=joblib" in out

    code, out, errors = end(start(killed, *sweep), killed)
    assert code == 0, errors
    assert "4 done" in out
    assert end(start(straight, "run", "-m", *cells), straight)[0] == 0
    assert results(killed) == results(straight)
    cards = [json.loads(file.read_text()) for file in killed.glob("outputs/hneuro/*/run_card-until-contributions.json")]
    assert sorted(card["overrides"][-1] for card in cards) == [f"seed={n}" for n in range(4)]
    assert all("launcher=joblib" in card["overrides"] for card in cards)

    before = {file: file.stat().st_mtime_ns for file in killed.glob("outputs/hneuro/*/status.json")}
    code, out, _ = end(start(killed, "run", "-m", *cells), killed)
    assert code == 0
    assert "4 cells, 0 of them to run" in out
    assert before == {file: file.stat().st_mtime_ns for file in before}
    assert end(start(killed, "status", "outputs"), killed)[0] == 0


def test_a_run_is_rehearsed_then_run(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dry = ["run", "-m", "--dry-run", *words, "probe.C=[50],[60],[70]"]
    assert main(dry) == 0
    said = capsys.readouterr().out
    assert not list(tmp_path.glob("outputs/*"))
    assert "responses of at most" in said
    assert "unknown" in said
    assert said.count("shared with an earlier cell") == 3  # the sets of responses, said once of the other cells
    assert "cell 1: probe.C=[60]\ncell 2: probe.C=[70]\nin outputs/store: " in said
    assert "sweep-known_facts" in said
    assert "all 3 cells, what they share counted once: 6 results, unknown, " in said

    assert main(["run", *words, "probe.C=[50]"]) == 0
    capsys.readouterr()
    assert main(dry) == 0
    first, second = capsys.readouterr().out.split("cell 1: ")
    assert "nothing would be computed but the report" in first
    assert "\nprobe" in second
    assert "responses of at most" not in second
    assert main(["run", "--dry-run", *words, "sampling.samples=3"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"\nresponses .* \d+ s *\n", said)  # timed: the same model has answered before
    assert re.search(r"\nsweep-known_facts +at most 4 x \d+ answers +\d+ s *\n", said)
    assert "unknown" not in said
    assert "counted once" not in said  # it is one run


def shards_made(store: Path) -> dict[tuple[str, str], int]:
    """How many shards of each stage were computed, by whomever."""
    made: dict[tuple[str, str], int] = {}
    for line in (store / "timings.jsonl").read_text().splitlines():
        timed = json.loads(line)
        key = (timed["stage"], timed["key"])
        made[key] = made.get(key, 0) + timed["shards"]
    return made


def test_jobs_with_shards_of_one_run_meet_in_the_store(words: list[str], tmp_path: Path) -> None:
    """Between them they make every shard once; the run without `shard` goes on from there."""
    upto = [*words, "until=contributions"]
    for place, jobs in (("alone", ["shard=0"]), ("together", ["shard=0", "shard=1"])):
        started = [start(tmp_path / place / job, "run", *upto, job, f"store_dir={tmp_path / place}") for job in jobs]
        for job, process in zip(jobs, started, strict=True):
            code, _, errors = end(process, tmp_path / place / job)
            assert code == 0, errors
            assert states(tmp_path / place / job) == []
            assert (
                len(list((tmp_path / place / job).glob(f"outputs/hneuro/*/{job.replace('=', '-')}/status.json"))) == 1
            )
    made = shards_made(tmp_path / "alone")
    assert shards_made(tmp_path / "together") == made
    code, _, errors = end(
        start(tmp_path / "whole", "run", *words, "report=false", f"store_dir={tmp_path / 'together'}"),
        tmp_path / "whole",
    )
    assert code == 0, errors
    assert made.items() <= shards_made(tmp_path / "together").items()
