"""Stage results on disk, each under a key of exactly what the stage reads.

    <root>/<stage>/<key>/manifest.json      what was read, and the digest of the result
    <root>/<stage>/<key>/<file>             the result
    <root>/<stage>/<key>.partial/           finished shards of a result in the making
    <root>/<stage>/<key>.locks/             who is doing which shard of it

A result appears by one rename, so it is there whole or not at all. A stage of many items finishes them shard by shard;
a killed run finds the finished shards again, and knows by their digests that they are what was written. Processes that
want the same result share its shards between them, so that several devices work on one run: their locks belong to the
operating system, which frees them when their owner dies.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from hneuro.codec import canonical, read_jsonl, to_plain, write_jsonl
from hneuro.disk import appearing, reserve, sync, writing
from hneuro.progress import track
from hneuro.records import UserError

T = TypeVar("T")
S = TypeVar("S")

log = logging.getLogger(__name__)

FORMAT = 1  # raise it when the code of a stage changes what comes out: what was stored before is then left alone
PATIENCE = 2.0  # seconds of waiting for another process before it is said
WHOLE_DIGEST_LIMIT = 1 << 30  # bytes; above it a digest reads the size and 64 blocks of 1 MiB


def fingerprint(value: Any) -> str:
    """Short digest of records or plain values, equal for equal content."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:20]


def file_digest(path: Path) -> str:
    """SHA-256 of a file; of evenly spaced blocks and the size where the file is larger than `WHOLE_DIGEST_LIMIT`."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as data:
        if size <= WHOLE_DIGEST_LIMIT:
            while block := data.read(1 << 22):
                digest.update(block)
        else:
            for place in np.linspace(0, size - (1 << 20), 64).astype(int):
                data.seek(int(place))
                digest.update(data.read(1 << 20))
    return digest.hexdigest()


class Kept(Generic[T]):
    """A stored result and the digest of its content, by which later stages name what they read.

    The result is read from the disk when somebody asks for it: a run that finds everything finished needs little of it.
    """

    def __init__(self, load: Callable[[], T], digest: str) -> None:
        self._load = load
        self.digest = digest

    @cached_property
    def value(self) -> T:
        return self._load()


@dataclass
class Tally:
    """How many stages were computed and how many loaded; a repeated run computes none."""

    computed: list[str]
    loaded: list[str]


@dataclass(frozen=True)
class _Work:
    """A result in the making: its shards, and how they become one file, whose name `finish` gives."""

    count: int
    plan: str
    do: Callable[[int], None]
    digest: Callable[[int], str]
    finish: Callable[[], str]


class Store:
    """The stage results below `root`. The three methods differ only in the form of the result."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tally = Tally([], [])

    def records(
        self,
        stage: str,
        kind: type[T],
        reads: Mapping[str, Any],
        shards: Sequence[S],
        work: Callable[[S], Sequence[T]],
    ) -> Kept[tuple[T, ...]]:
        """`work` over `shards`, the records of all of them in order. One jsonl a shard until all are there."""

        def begin(partial: Path) -> _Work:
            def shard(n: int) -> Path:
                return partial / f"shard-{n:06d}.jsonl"

            def do(n: int) -> None:
                made = work(shards[n])
                with appearing(shard(n)) as fresh:
                    write_jsonl(fresh, made)

            def finish() -> str:
                with appearing(partial / "records.jsonl") as fresh, fresh.open("wb") as out:
                    for n in range(len(shards)):
                        out.write(shard(n).read_bytes())
                return "records.jsonl"

            plan = fingerprint([len(s) if isinstance(s, Sized) else 1 for s in shards])
            return _Work(len(shards), plan, do, lambda n: file_digest(shard(n)), finish)

        return self._kept(stage, reads, begin, lambda folder: read_jsonl(folder / "records.jsonl", kind))

    def array(
        self,
        stage: str,
        reads: Mapping[str, Any],
        shape: tuple[int, ...],
        shards: Sequence[slice],
        work: Callable[[slice], NDArray[np.float32]],
    ) -> Kept[NDArray[np.float32]]:
        """A float32 array whose rows come from `work` shard by shard, straight into one file. Read as a memory map."""

        def begin(partial: Path) -> _Work:
            file = partial / "values.npy"
            values = _array_file(file, shape)

            def do(n: int) -> None:
                values[shards[n]] = work(shards[n])
                values.flush()

            def finish() -> str:
                values.flush()
                sync(file)
                return file.name

            plan = fingerprint([shape, [(s.start, s.stop) for s in shards]])
            return _Work(len(shards), plan, do, lambda n: _bytes_digest(values[shards[n]]), finish)

        return self._kept(stage, reads, begin, lambda folder: np.load(folder / "values.npy", mmap_mode="r"))

    def whole(
        self, stage: str, kind: type[T], reads: Mapping[str, Any], work: Callable[[], Sequence[T]]
    ) -> Kept[tuple[T, ...]]:
        """The records that `work` makes in one piece: `records` with a single shard."""
        return self.records(stage, kind, reads, [None], lambda _: work())

    def _kept(
        self,
        stage: str,
        reads: Mapping[str, Any],
        begin: Callable[[Path], _Work],
        load: Callable[[Path], T],
    ) -> Kept[T]:
        folder = self.root / stage / fingerprint({"stage": stage, "format": FORMAT, "reads": reads})
        with writing(f"the stage {stage}", self.root):
            made = not folder.exists() and self._make(folder, reads, begin)
        (self.tally.computed if made else self.tally.loaded).append(stage)
        digest = _verified(folder)

        def read() -> T:
            try:
                return load(folder)
            except (LookupError, TypeError, ValueError, AttributeError) as fault:
                raise UserError(
                    f"the stored result {stage} was written by another version of hneuro ({fault}): {_way_out(folder)}"
                ) from fault

        return Kept(read, digest)

    def _make(self, folder: Path, reads: Mapping[str, Any], begin: Callable[[Path], _Work]) -> bool:
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
                name = work.finish()
                files = {name: file_digest(partial / name)}
                manifest = {"stage": folder.parent.name, "reads": to_plain(reads), "files": files}
                with appearing(partial / "manifest.json") as fresh:
                    fresh.write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
            # The manifest is the last file to appear: what stands beside it and its result are only shards.
            for file in partial.glob("shard-*"):
                file.unlink()
            partial.replace(folder)
            shutil.rmtree(locks, ignore_errors=True)
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


def _do_shards(folder: Path, partial: Path, locks: Path, work: _Work) -> bool:
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
    queue, made = list(waiting), False
    for place, n in enumerate(track(queue, folder.parent.name, total=work.count, done=work.count - len(waiting))):
        if finished(n):
            continue
        with _claimed(folder, locks, n, wait=place >= len(waiting)) as ours:
            if not ours:
                queue.append(n)  # looked at again behind all others: its owner may have died
            elif not finished(n):
                work.do(n)
                with appearing(marks[n]) as fresh:
                    fresh.write_text(f"{work.plan} {work.digest(n)}", encoding="utf-8")
                made = True
    return made


def _array_file(file: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.float32]]:
    """The array of a result in the making, made anew where it is missing or spoilt."""
    if file.exists():
        try:
            values = np.lib.format.open_memmap(str(file), mode="r+")
        except ValueError:  # no header of an array: its shards are done again, as their digests do not match
            file.unlink()
        else:
            if values.shape == shape and values.dtype == np.float32:
                reserve(file)
                return values
    with appearing(file) as fresh:
        np.lib.format.open_memmap(str(fresh), mode="w+", dtype=np.float32, shape=shape).flush()
        reserve(fresh)
    return np.lib.format.open_memmap(str(file), mode="r+")


def _bytes_digest(values: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _way_out(folder: Path) -> str:
    return f"delete {folder} and run again to compute it anew"


def _verified(folder: Path) -> str:
    """The digest of a result, after comparing every file with the manifest; `UserError` names a damaged one."""
    stage = folder.parent.name
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files: dict[str, str] = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UserError(f"the stored result {stage} has no readable manifest.json: {_way_out(folder)}") from fault
    for name, digest in files.items():
        try:
            found = file_digest(folder / name)
        except OSError as fault:
            reason = f"{name} cannot be read, {fault.strerror}"
            raise UserError(f"the stored result {stage} is damaged ({reason}): {_way_out(folder)}") from fault
        if found != digest:
            raise UserError(f"the stored result {stage} is damaged ({name} has changed): {_way_out(folder)}")
    return fingerprint(files)
