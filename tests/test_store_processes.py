"""The store among real processes: killed in the middle, at the same time, and waiting for one that dies."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hneuro.result_records import Estimate
from hneuro.stage import Rows
from hneuro.store import Store

# Every shard leaves a line in the log; a pause in front of shard `stop` gives time to kill or to meet.
WORKER = """
import sys, time
from pathlib import Path
import numpy as np
from hneuro.progress import set_quiet
from hneuro.result_records import Estimate
from hneuro.stage import Rows
from hneuro.store import Store

root, log, kind, stop, pause = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
set_quiet(True)

def begin(n):
    with log.open("a") as out:
        out.write(f"{n}\\n")
    if n == stop:
        time.sleep(pause)

def records(n):
    begin(n)
    return [Estimate(value=(10 * n + k) / 7, low=0.0, high=1.0, n=k) for k in range(3)]

def rows(part):
    begin(part.start // 4)
    return np.random.default_rng(part.start).normal(size=(4, 5)).astype(np.float32)

shards = range(6)
if kind == "records":
    kept = Store(root).records("stage", {"seed": 0}, Estimate, list(shards), records)
else:
    plan = Rows.of((24, 5), 4, rows)
    kept = Store(root).arrays("stage", {"seed": 0}, plan.kinds, plan.slices, plan.work)
print(kept.digest)
"""


def start(root: Path, kind: str, stop: int = -1, pause: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, str(root / "store"), str(root / "log"), kind, str(stop), str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def digest_of(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out.strip()


def done(root: Path) -> list[int]:
    log = root / "log"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def wait_for(root: Path, shard: int, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while shard not in done(root):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)


def result_bytes(root: Path) -> dict[str, bytes]:
    (manifest,) = (root / "store").glob("stage/*/manifest.json")
    return {file.name: file.read_bytes() for file in manifest.parent.iterdir()}


@pytest.mark.parametrize("kind", ["records", "array"])
def test_killed_and_resumed_is_bit_identical(tmp_path: Path, kind: str) -> None:
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    killed.mkdir()
    straight.mkdir()
    first = start(killed, kind, stop=3, pause=60)
    wait_for(killed, 3, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert not list((killed / "store").rglob("manifest.json"))
    second, whole = start(killed, kind), start(straight, kind)
    assert digest_of(second) == digest_of(whole)
    assert done(killed) == [0, 1, 2, 3, 3, 4, 5]
    assert result_bytes(killed) == result_bytes(straight)


@pytest.mark.parametrize("kind", ["records", "array"])
def test_two_processes_share_the_shards_of_a_result(tmp_path: Path, kind: str) -> None:
    """Several devices with whole models: the second does five shards while the first is still at its own."""
    shared, straight = tmp_path / "shared", tmp_path / "straight"
    shared.mkdir()
    straight.mkdir()
    first = start(shared, kind, stop=0, pause=5.0)
    wait_for(shared, 0, first)
    second = start(shared, kind)
    wait_for(shared, 5, second)
    assert first.poll() is None
    assert done(shared) == [0, 1, 2, 3, 4, 5]
    assert digest_of(first) == digest_of(second) == digest_of(start(straight, kind))
    assert done(shared) == [0, 1, 2, 3, 4, 5]
    assert result_bytes(shared) == result_bytes(straight)
    assert not list((shared / "store").rglob("*.lock*"))


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    owner = start(tmp_path, "array", stop=2, pause=60)
    wait_for(tmp_path, 2, owner)
    waiting = start(tmp_path, "array")
    wait_for(tmp_path, 5, waiting)  # all that is left for it now is what the owner holds
    assert waiting.poll() is None
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert len(digest_of(waiting)) == 20
    assert done(tmp_path) == [0, 1, 2, 3, 4, 5, 2]  # the shard of the dead one comes last


def test_what_is_on_the_disk_is_plain(tmp_path: Path) -> None:
    """jsonl and npy without pickled objects, readable by anything."""
    store = Store(tmp_path)
    store.records("table", {}, Estimate, [[1]], lambda _: [Estimate(value=float("nan"), low=0.0, high=1.0, n=1)])
    plan = Rows.of((2, 2), 2, lambda _: np.eye(2, dtype=np.float32))
    store.arrays("numbers", {}, plan.kinds, plan.slices, plan.work)

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    (table,) = tmp_path.rglob("records.jsonl")
    assert json.loads(table.read_text(), parse_constant=refuse) == {"value": "NaN", "low": 0.0, "high": 1.0, "n": 1}
    (numbers,) = tmp_path.rglob("values.npy")
    np.testing.assert_array_equal(np.load(numbers, allow_pickle=False), np.eye(2))
