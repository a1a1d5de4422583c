"""The store: exact keys, atomic results, resumption, and what it says when the disk goes wrong."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hneuro import disk
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.result_records import Estimate
from hneuro.stage import Rows
from hneuro.store import Kept, Store


def estimate(n: int) -> Estimate:
    return Estimate(value=n / 3, low=n / 7, high=float("nan"), n=n)


def make_records(kept: Store, shards: list[list[int]], reads: dict[str, object] | None = None, log: list | None = None):
    def work(shard: list[int]) -> list[Estimate]:
        if log is not None:
            log.append(shard)
        return [estimate(n) for n in shard]

    return kept.records("stage", reads or {"a": 1}, Estimate, shards, work)


def make_array(kept: Store, rows: int = 6, step: int = 2, log: list | None = None):
    def work(rows: slice) -> np.ndarray:
        if log is not None:
            log.append((rows.start, rows.stop))
        return np.arange(rows.start * 3, rows.stop * 3, dtype=np.float32).reshape(-1, 3) / 7

    return filled(kept, rows, step, work)


def filled(kept: Store, rows: int, step: int, work: Callable[[slice], np.ndarray]) -> Kept[np.ndarray]:
    plan = Rows.of((rows, 3), step, work)
    found = kept.arrays("stage", {"a": 1}, plan.kinds, plan.slices, plan.work)
    return Kept(lambda: found.value["values"], found.digest)


def folder_of(root: Path) -> Path:
    (manifest,) = root.glob("stage/*/manifest.json")
    return manifest.parent


class StoppedError(Exception):
    """Stands for whatever ends a run in the middle."""


def stopped_after(kept: Store, done: int, shards: list[list[int]]) -> None:
    """A run of `make_records` that ends after `done` shards."""
    log: list[list[int]] = []

    def work(shard: list[int]) -> list[Estimate]:
        if len(log) == done:
            raise StoppedError
        log.append(shard)
        return [estimate(n) for n in shard]

    with pytest.raises(StoppedError):
        kept.records("stage", {"a": 1}, Estimate, shards, work)


def stopped_array(kept: Store, done: int) -> None:
    calls = 0

    def work(rows: slice) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > done:
            raise StoppedError
        return np.arange(rows.start * 3, rows.stop * 3, dtype=np.float32).reshape(-1, 3) / 7

    with pytest.raises(StoppedError):
        filled(kept, 6, 2, work)


# Keys (trap 21: one folder for several seeds made two of three runs no-ops)


def test_equal_reads_are_computed_once(tmp_path: Path) -> None:
    log: list = []
    first = make_records(Store(tmp_path), [[1, 2], [3]], {"seed": 0, "b": (1, 2)}, log)
    again = Store(tmp_path)
    second = make_records(again, [[1, 2], [3]], {"b": [1, 2], "seed": 0}, log)
    assert log == [[1, 2], [3]]
    assert (again.tally.computed, again.tally.loaded) == ([], ["stage"])
    assert first.digest == second.digest
    assert [e.n for e in second.value] == [1, 2, 3]


# Appearing


def test_nothing_is_visible_before_a_result_is_whole(tmp_path: Path) -> None:
    stopped_after(Store(tmp_path), 1, [[1], [2]])
    assert not list(tmp_path.rglob("manifest.json"))
    make_records(Store(tmp_path), [[1], [2]])
    assert sorted(f.name for f in folder_of(tmp_path).iterdir()) == ["manifest.json", "records.jsonl"]
    assert not list(tmp_path.glob("stage/*.partial"))


# Resuming


def test_finished_shards_are_not_done_again(tmp_path: Path) -> None:
    stopped_after(Store(tmp_path), 2, [[1], [2], [3]])
    log: list = []
    resumed = make_records(Store(tmp_path), [[1], [2], [3]], log=log)
    assert log == [[3]]
    assert resumed.digest == make_records(Store(tmp_path / "straight"), [[1], [2], [3]]).digest


def test_finished_rows_of_an_array_are_not_done_again(tmp_path: Path) -> None:
    stopped_array(Store(tmp_path), 1)
    log: list = []
    resumed = make_array(Store(tmp_path), log=log)
    assert log == [(2, 4), (4, 6)]
    assert resumed.digest == make_array(Store(tmp_path / "straight")).digest


@pytest.mark.parametrize("harm", ["cut", "changed", "lost"])
def test_a_spoilt_shard_is_done_again(tmp_path: Path, harm: str) -> None:
    stopped_after(Store(tmp_path), 2, [[1], [2], [3]])
    shard = next(tmp_path.glob("stage/*.partial/shard-000000.jsonl"))
    text = shard.read_text()
    if harm == "lost":
        shard.unlink()
    else:
        shard.write_text(text[:-9] if harm == "cut" else text.replace('"n": 1', '"n": 8'))
    log: list = []
    assert [e.n for e in make_records(Store(tmp_path), [[1], [2], [3]], log=log).value] == [1, 2, 3]
    assert log == [[1], [3]]


@pytest.mark.parametrize("harm", ["cut", "changed", "lost", "no array"])
def test_spoilt_rows_are_done_again(tmp_path: Path, harm: str) -> None:
    stopped_array(Store(tmp_path), 2)
    file = next(tmp_path.glob("stage/*.partial/values.npy"))
    content = file.read_bytes()
    if harm == "lost":
        file.unlink()
    else:
        start = content.index(b"\n") + 1  # the first row
        changed = content[:start] + b"\x01\x02" + content[start + 2 :]
        file.write_bytes({"cut": content[: start + 26], "changed": changed, "no array": b"spoilt"}[harm])
    log: list = []
    resumed = make_array(Store(tmp_path), log=log)
    np.testing.assert_array_equal(resumed.value, np.arange(18, dtype=np.float32).reshape(6, 3) / 7)
    assert log == {"changed": [(0, 2), (4, 6)], "cut": [(2, 4), (4, 6)]}.get(harm, [(0, 2), (2, 4), (4, 6)])


def test_shards_of_another_plan_are_not_taken_over(tmp_path: Path) -> None:
    stopped_after(Store(tmp_path), 1, [[1, 2], [3, 4], [5]])
    resumed = make_records(Store(tmp_path), [[5, 1], [2, 3, 4]])
    assert [e.n for e in resumed.value] == [5, 1, 2, 3, 4]


def test_a_kill_between_the_manifest_and_the_rename_loses_nothing(tmp_path: Path) -> None:
    digest = make_array(Store(tmp_path)).digest
    folder = folder_of(tmp_path)
    folder.rename(f"{folder}.partial")
    log: list = []
    assert make_array(Store(tmp_path), log=log).digest == digest
    assert log == []


# Damage


@pytest.mark.parametrize("file", ["records.jsonl", "manifest.json"])
@pytest.mark.parametrize("harm", ["changed", "cut", "missing", "pipe", "folder"])
def test_a_damaged_result_is_named_with_the_way_out(tmp_path: Path, file: str, harm: str) -> None:
    make_records(Store(tmp_path), [[1, 2]])
    folder = folder_of(tmp_path)
    damaged = folder / file
    if harm in ("missing", "pipe", "folder"):
        damaged.unlink()
        {"missing": Path, "pipe": os.mkfifo, "folder": Path.mkdir}[harm](damaged)
    else:
        damaged.write_text("[]" if harm == "changed" else damaged.read_text()[:-20])
    with pytest.raises(UserError) as fault:
        make_records(Store(tmp_path), [[1, 2]])
    assert "\n" not in str(fault.value)
    assert f"delete {folder} and run again" in str(fault.value)


def test_links_in_a_store_are_not_written_through(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "store"
    outside.write_text("precious")
    stopped_array(Store(root), 1)
    (partial,) = root.glob("stage/*.partial")
    for file in (*partial.iterdir(), root / "timings.jsonl"):
        file.unlink(missing_ok=True)
        file.symlink_to(outside)
    (partial / "values.npy.fresh").symlink_to(outside)
    make_array(Store(root))
    assert outside.read_text() == "precious"


def test_records_of_another_version_are_named(tmp_path: Path) -> None:
    make_records(Store(tmp_path), [[1]])
    kept = Store(tmp_path).records("stage", {"a": 1}, NeuronSpace, [[1]], lambda _: [])
    with pytest.raises(UserError, match=r"written by another version.*delete"):
        _ = kept.value


# A full disk, and a folder that may not be written


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped_after(Store(tmp_path), 1, [[1], [2]])
    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "fsync", full)
        with pytest.raises(UserError) as fault:
            make_records(Store(tmp_path), [[1], [2]])
    assert "\n" not in str(fault.value)
    assert "no space left" in str(fault.value)
    assert "make room" in str(fault.value)
    assert not list(tmp_path.glob("stage/*/manifest.json"))
    assert not list(tmp_path.rglob("*.fresh"))
    log: list = []
    assert [e.n for e in make_records(Store(tmp_path), [[1], [2]], log=log).value] == [1, 2]
    assert log == [[2]]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the space of a file cannot be reserved here")
def test_an_array_that_does_not_fit_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk.os, "posix_fallocate", full)
    log: list = []
    with pytest.raises(UserError, match="no space left"):
        make_array(Store(tmp_path), log=log)
    assert log == []
    assert not list(tmp_path.rglob("values.npy*"))


def test_faults_of_the_work_itself_are_not_taken_for_the_disk(tmp_path: Path) -> None:
    def work(_: object) -> list[Estimate]:
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/model.safetensors")

    with pytest.raises(PermissionError):
        Store(tmp_path).records("stage", {}, Estimate, [[1]], work)


# Digests
