"""Stage results on disk, each under a key of exactly what the stage reads.

    <root>/<stage>/<key>/manifest.json      what was read, and the digest of the result
    <root>/<stage>/<key>/<file>             the result
    <root>/<stage>/<key>.partial/  .locks/  .lock   while it is made (`hneuro.making`)

A result appears by one rename, so it is there whole or not at all, and is compared with its digest before it is used.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence, Sized
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from hneuro.codec import canonical, read_jsonl, write_jsonl
from hneuro.disk import ArrayFile, appearing, file_digest, safe_name, sync, writing
from hneuro.making import Work, make
from hneuro.records import UserError

T = TypeVar("T")
S = TypeVar("S")


def fingerprint(value: Any) -> str:
    """Short digest of records or plain values, equal for equal content."""
    return fingerprint_of(canonical(value))


def fingerprint_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Kept(Generic[T]):
    """A stored result and the digest of its content, by which later stages name what they read.

    The result is read from the disk when somebody asks for it: a run that finds everything finished needs little of it.
    """

    def __init__(self, load: Callable[[], T], digest: str) -> None:
        self._load = load
        self.digest = digest

    @property
    def store_key(self) -> str:
        return self.digest

    @cached_property
    def value(self) -> T:
        return self._load()


@dataclass
class Tally:
    """How many stages were computed and how many loaded; a repeated run computes none."""

    computed: list[str]
    loaded: list[str]


class Store:
    """The stage results below `root`. Its methods differ only in the form of the result."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tally = Tally([], [])

    def counts(self) -> tuple[int, int]:
        """How many stages were computed, and how many loaded."""
        return len(self.tally.computed), len(self.tally.loaded)

    def records(
        self,
        stage: str,
        reads: Mapping[str, Any],
        kind: type[T],
        shards: Sequence[S],
        work: Callable[[S], Sequence[T]],
    ) -> Kept[tuple[T, ...]]:
        """`work` over `shards`, the records of all of them in order. One jsonl a shard until all are there."""

        def begin(partial: Path) -> Work:
            def shard(n: int) -> Path:
                return partial / f"shard-{n:06d}.jsonl"

            def do(n: int) -> None:
                made = work(shards[n])
                with appearing(shard(n)) as fresh:
                    write_jsonl(fresh, made)

            def finish() -> Sequence[str]:
                with appearing(partial / "records.jsonl") as fresh, fresh.open("wb") as out:
                    for n in range(len(shards)):
                        out.write(shard(n).read_bytes())
                return ["records.jsonl"]

            plan = fingerprint([len(s) if isinstance(s, Sized) else 1 for s in shards])
            return Work(len(shards), plan, do, lambda n: file_digest(shard(n)), finish)

        return self._kept(stage, reads, begin, lambda folder: read_jsonl(folder / "records.jsonl", kind))

    def arrays(
        self,
        stage: str,
        reads: Mapping[str, Any],
        kinds: Mapping[str, tuple[tuple[int, ...], str]],
        shards: Sequence[slice],
        work: Callable[[slice], Mapping[str, NDArray[Any]]],
    ) -> Kept[Mapping[str, NDArray[Any]]]:
        """Arrays whose rows come from `work` shard by shard, straight into a file each. Read as memory maps.

        `kinds` gives the shape and the dtype of each by name.
        """

        def begin(partial: Path) -> Work:
            files = {name: ArrayFile(partial / f"{name}.npy", *kind) for name, kind in kinds.items()}

            def do(n: int) -> None:
                for name, made in work(shards[n]).items():
                    files[name].write(shards[n], made)

            def finish() -> Sequence[str]:
                for file in files.values():
                    sync(file.path)
                return [file.path.name for file in files.values()]

            def digest(n: int) -> str:
                return " ".join(file.digest(shards[n]) for file in files.values())

            plan = fingerprint([dict(kinds), [(s.start, s.stop) for s in shards]])
            return Work(len(shards), plan, do, digest, finish)

        def load(folder: Path) -> Mapping[str, NDArray[Any]]:
            return {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in kinds}

        return self._kept(stage, reads, begin, load)

    def place(self, stage: str, reads: Mapping[str, Any]) -> Path:
        """Where the result of a stage that reads this is, or would be."""
        return self.root / safe_name(stage) / fingerprint({"stage": stage, "reads": reads})

    def _kept(
        self,
        stage: str,
        reads: Mapping[str, Any],
        begin: Callable[[Path], Work],
        load: Callable[[Path], T],
    ) -> Kept[T]:
        folder = self.place(stage, reads).absolute()
        with writing(f"the stage {stage}", self.root.absolute()):
            made = not folder.exists() and make(folder, reads, begin)
        with suppress(OSError):  # of a result that is there nobody needs the lock; in a store to be read alone it stays
            Path(f"{folder}.lock").unlink(missing_ok=True)
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


def _way_out(folder: Path) -> str:
    return f"delete {folder} and run again to compute it anew"


def _verified(folder: Path) -> str:
    """The digest of a result, after comparing every file with the manifest; `UserError` names a damaged one."""
    stage = folder.parent.name
    if (folder / "manifest.json").is_fifo():
        raise UserError(f"the stored result {stage} has no readable manifest.json: {_way_out(folder)}")
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        files: dict[str, str] = dict(manifest["files"])
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise UserError(f"the stored result {stage} has no readable manifest.json: {_way_out(folder)}") from fault
    for name, digest in files.items():
        if not (folder / name).is_file():  # one that is a pipe would be waited for
            raise UserError(f"the stored result {stage} is damaged ({name} is not a file): {_way_out(folder)}")
        try:
            found = file_digest(folder / name)
        except OSError as fault:
            reason = f"{name} cannot be read, {fault.strerror}"
            raise UserError(f"the stored result {stage} is damaged ({reason}): {_way_out(folder)}") from fault
        if found != digest:
            raise UserError(f"the stored result {stage} is damaged ({name} has changed): {_way_out(folder)}")
    return fingerprint(files)
