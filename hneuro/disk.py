"""Files that appear whole or not at all, and a full disk told in one clear line."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hneuro.records import UserError

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file that appears under its name only when it is complete and on the disk."""
    fresh = path.with_name(f"{path.name}.fresh")
    try:
        yield fresh
        sync(fresh)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until the content of a file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reserve(path: Path) -> None:
    """Takes the disk space of a sparse file now: a full disk under a memory map would kill the process later."""
    size = path.stat().st_size
    if size and hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)


@contextmanager
def writing(what: str, root: Path) -> Iterator[None]:
    """Turns a disk that is full, and a folder that may not be written, into a `UserError` with the way out."""
    try:
        yield
    except OSError as fault:
        if fault.errno in FULL:
            raise UserError(
                f"no space left on the disk to keep {what} in {root}: make room and run again, what is finished is kept"
            ) from fault
        if fault.errno in CLOSED and str(fault.filename).startswith(str(root)):
            raise UserError(f"cannot keep {what} in {root} ({fault.strerror}): choose another store_dir") from fault
        raise
