"""A result in the making: its shards, done by one process or by several, and the moment when it is whole.

    <folder>.partial/    finished shards
    <folder>.locks/      who is doing which shard

A killed run finds the finished shards again, and knows by their digests that they are what was written. Processes that
want the same result share its shards between them, so that several devices work on one run: their locks belong to the
operating system, which frees them when their owner dies.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hneuro.codec import to_plain
from hneuro.disk import appearing, file_digest
from hneuro.progress import track

log = logging.getLogger(__name__)

TIMINGS = "timings.jsonl"  # in the store: how long shards took, for estimates alone
PATIENCE = 60.0  # seconds of waiting for another process before it is said


@dataclass(frozen=True)
class Work:
    """What there is to do: `count` shards under a plan, and `finish`, which makes files of them and names these."""

    count: int
    plan: str
    do: Callable[[int], None]
    digest: Callable[[int], str]
    finish: Callable[[], Sequence[str]]


def make(folder: Path, reads: Mapping[str, Any], begin: Callable[[Path], Work]) -> bool:
    """Makes a result, together with the other processes that want it meanwhile. Whether any of it was made here."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial, locks = Path(f"{folder}.partial"), Path(f"{folder}.locks")
    with _locked(folder):
        if folder.exists():
            return False
        partial.mkdir(exist_ok=True)
        locks.mkdir(exist_ok=True)
        work = begin(partial)
    made = _do_shards(folder, partial, locks, work)
    with _locked(folder):
        if folder.exists():
            return made
        if not (partial / "manifest.json").exists():
            files = {name: file_digest(partial / name) for name in work.finish()}
            manifest = {"stage": folder.parent.name, "reads": to_plain(reads), "files": files}
            with appearing(partial / "manifest.json") as fresh:
                fresh.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        # The manifest is the last file to appear: what stands beside it and its result are only shards.
        for file in partial.glob("shard-*"):
            file.unlink()
        shutil.rmtree(locks, ignore_errors=True)  # now: after a kill nobody looks at a whole result again
        partial.replace(folder)
        return True


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The lock of a result, which the operating system frees when its owner dies."""
    lock = FileLock(f"{folder}.lock")
    _acquire(lock, folder)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _claimed(folder: Path, locks: Path, n: int, wait: bool) -> Iterator[bool]:
    """Whether shard n of a result is ours to do: nobody else holds its lock, for which one may wait."""
    lock = FileLock(locks / f"{n:06d}.lock")
    try:
        if wait:
            _acquire(lock, folder)
        else:
            lock.acquire(timeout=0)
    except (Timeout, FileNotFoundError):  # another process does it, or has just put all of them together
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _acquire(lock: Any, folder: Path) -> None:
    """Waits for a lock, and says so where it takes long."""
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        log.warning("waiting for another process, which computes %s/%s", folder.parent.name, folder.name)
        lock.acquire()


def _do_shards(folder: Path, partial: Path, locks: Path, work: Work) -> bool:
    """Does the shards that are not finished and that no other process is doing, then waits for those of the others.

    A finished one has a mark with its digest and the plan it belongs to. Whether any was done here.
    """
    marks = [partial / f"shard-{n:06d}.done" for n in range(work.count)]

    def finished(n: int) -> bool:
        try:
            return marks[n].read_text(encoding="utf-8") == f"{work.plan} {work.digest(n)}"
        except (FileNotFoundError, UnicodeDecodeError):
            # The marks of a whole result go before it appears, but not before its manifest.
            return (partial / "manifest.json").exists() or folder.exists()

    waiting = [n for n in range(work.count) if not finished(n)]
    queue, made, seconds = list(waiting), 0, 0.0
    for place, n in enumerate(track(queue, folder.parent.name, total=work.count, done=work.count - len(waiting))):
        if finished(n):
            continue
        with _claimed(folder, locks, n, wait=place >= len(waiting)) as ours:
            if not ours:
                queue.append(n)  # looked at again behind all others: its owner may have died
            elif not finished(n):
                started = time.perf_counter()
                work.do(n)
                seconds += time.perf_counter() - started
                with appearing(marks[n]) as fresh:
                    fresh.write_text(f"{work.plan} {work.digest(n)}", encoding="utf-8")
                made += 1
    if made:
        timed = {"stage": folder.parent.name, "key": folder.name, "shards": made, "seconds": round(seconds, 4)}
        timings = folder.parent.parent / TIMINGS
        if timings.is_symlink():
            timings.unlink()
        with timings.open("a", encoding="utf-8") as out:
            out.write(json.dumps(timed) + "\n")  # in one write, so that processes do not cut each other's lines
    return made > 0
