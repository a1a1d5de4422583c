"""Stage results on disk, each under a key of exactly what the stage reads.

    <root>/<stage>/<key>/manifest.json      what was read, and the digest of every file
    <root>/<stage>/<key>/<files>            the result
    <root>/<stage>/<key>.partial/           finished shards of a result in the making

A result appears by one rename, so it is there whole or not at all. A stage of many items finishes them shard by shard; a
killed run finds the finished shards again. Two processes that want the same result make it once: the lock belongs to
the operating system, which frees it when its owner dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from hneuro.codec import canonical, read_jsonl, to_plain, write_jsonl
from hneuro.progress import track
from hneuro.records import UserError

T = TypeVar("T")
S = TypeVar("S")

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


@dataclass(frozen=True)
class Kept(Generic[T]):
    """A stored result and the digest of its content, by which later stages name what they read."""

    value: T
    digest: str


@dataclass
class Tally:
    """How many stages were computed and how many loaded; a repeated run computes none."""

    computed: list[str]
    loaded: list[str]


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

        def make(partial: Path, final: Path) -> None:
            waiting = [n for n in range(len(shards)) if not _shard(partial, n).exists()]
            for n in track(waiting, stage, total=len(shards), done=len(shards) - len(waiting)):
                made = work(shards[n])
                with _appearing(_shard(partial, n)) as file:
                    write_jsonl(file, made)
            with (final / "records.jsonl").open("wb") as out:
                for n in range(len(shards)):
                    out.write(_shard(partial, n).read_bytes())

        return self._kept(stage, reads, make, lambda folder: read_jsonl(folder / "records.jsonl", kind))

    def array(
        self,
        stage: str,
        reads: Mapping[str, Any],
        shape: tuple[int, ...],
        shards: Sequence[slice],
        work: Callable[[slice], NDArray[np.float32]],
    ) -> Kept[NDArray[np.float32]]:
        """A float32 array whose rows come from `work` shard by shard, straight into one file. Read as a memory map."""

        def make(partial: Path, final: Path) -> None:
            file = partial / "values.npy"
            if not file.exists():
                with _appearing(file) as fresh:
                    np.lib.format.open_memmap(str(fresh), mode="w+", dtype=np.float32, shape=shape).flush()
                    _reserve(fresh)
            values = np.lib.format.open_memmap(str(file), mode="r+")
            waiting = [n for n in range(len(shards)) if not _shard(partial, n).exists()]
            for n in track(waiting, stage, total=len(shards), done=len(shards) - len(waiting)):
                values[shards[n]] = work(shards[n])
                values.flush()
                with _appearing(_shard(partial, n)) as mark:
                    mark.write_text("written\n")
            del values
            os.replace(file, final / "values.npy")

        return self._kept(stage, reads, make, lambda folder: np.load(folder / "values.npy", mmap_mode="r"))

    def whole(
        self, stage: str, kind: type[T], reads: Mapping[str, Any], work: Callable[[], Sequence[T]]
    ) -> Kept[tuple[T, ...]]:
        """The records that `work` makes in one piece: `records` with a single shard."""
        return self.records(stage, kind, reads, [None], lambda _: work())

    def _kept(
        self,
        stage: str,
        reads: Mapping[str, Any],
        make: Callable[[Path, Path], None],
        load: Callable[[Path], T],
    ) -> Kept[T]:
        folder = self.root / stage / fingerprint({"stage": stage, "reads": reads})
        if not (folder / "manifest.json").exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{folder}.lock"):
                if not (folder / "manifest.json").exists():
                    self._make(folder, reads, make)
                    self.tally.computed.append(stage)
                else:
                    self.tally.loaded.append(stage)
        else:
            self.tally.loaded.append(stage)
        digest = _verified(folder)
        return Kept(load(folder), digest)

    def _make(self, folder: Path, reads: Mapping[str, Any], make: Callable[[Path, Path], None]) -> None:
        partial, final = Path(f"{folder}.partial"), Path(f"{folder}.partial/final")
        shutil.rmtree(final, ignore_errors=True)
        final.mkdir(parents=True)
        make(partial, final)
        files = {f.name: file_digest(f) for f in sorted(final.iterdir())}
        manifest = {"stage": folder.parent.name, "reads": to_plain(reads), "files": files}
        (final / "manifest.json").write_text(json.dumps(manifest, indent=1, ensure_ascii=False), encoding="utf-8")
        for file in final.iterdir():
            _sync(file)
        os.replace(final, folder)
        shutil.rmtree(partial)


def _shard(partial: Path, n: int) -> Path:
    return partial / f"shard-{n:06d}.jsonl"


@contextmanager
def _appearing(path: Path) -> Iterator[Path]:
    """A file that appears under its name only when it is complete and on the disk."""
    fresh = path.with_suffix(".fresh")
    yield fresh
    _sync(fresh)
    os.replace(fresh, path)


def _reserve(path: Path) -> None:
    """Takes the disk space of a sparse file now: a full disk under a memory map would kill the process later."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _verified(folder: Path) -> str:
    """The digest of a result, after comparing every file with the manifest; `UserError` names a damaged one."""
    way_out = f"delete {folder} and run again to compute it anew"
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files: dict[str, str] = manifest["files"]
    except (ValueError, KeyError, TypeError) as fault:
        raise UserError(f"the stored result {folder.parent.name} has an unreadable manifest.json: {way_out}") from fault
    for name, digest in files.items():
        file = folder / name
        if not file.exists():
            raise UserError(f"the stored result {folder.parent.name} lacks its file {name}: {way_out}")
        if file_digest(file) != digest:
            raise UserError(f"the stored result {folder.parent.name} is damaged ({name} has changed): {way_out}")
    return fingerprint(files)
