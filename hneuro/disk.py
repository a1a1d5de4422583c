"""Files that appear whole or not at all, how they are called, their digests, and a full disk in one clear line."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.records import UserError

FULL = {errno.ENOSPC, errno.EDQUOT}
CLOSED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
    *(errno.ENOLCK, errno.EOPNOTSUPP),  # a file system without locks
}
LONGEST_NAME = 60  # bytes of a name that becomes a part of a file's, of which disks allow 255
WHOLE_DIGEST_LIMIT = 1 << 30  # bytes; above it a digest reads the size and 64 blocks of 1 MiB


def safe_name(text: str) -> str:
    """A name as (part of) the name of one file or folder: it leads nowhere else, is not hidden, and no disk refuses it.

    Most names are their own; what is cut off a long one is kept apart by a digest.
    """
    plain = re.sub(r"[^\w .,+=@()-]", "_", text)
    plain = re.sub(r"^\.|^ |[ .]$", "_", plain) or "_"
    if len(plain.encode()) <= LONGEST_NAME:
        return plain
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain.encode()[: LONGEST_NAME - 9].decode(errors='ignore')}-{digest}"


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A file that appears under its name only when it is complete and on the disk."""
    with _in_place_of(path, path.with_name(f"{path.name}.fresh")) as fresh:
        yield fresh
        sync(fresh)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """`appearing` for what can be made again, or is written by several processes: nobody waits for the disk."""
    with _in_place_of(path, path.with_name(f"{path.name}.{os.getpid()}.fresh")) as fresh:
        yield fresh


def read_text(path: Path) -> str:
    """The text of a file. `ValueError` for a folder or a pipe in its place, which would be waited for."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    return path.read_text(encoding="utf-8")


def write_text(path: Path, text: str) -> None:
    """Replaces a file as a whole."""
    with replacing(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


@contextmanager
def _in_place_of(path: Path, fresh: Path) -> Iterator[Path]:
    """A link in its place is replaced, and never written through: it may lead out of the folder."""
    if path.is_dir() and not path.is_symlink():
        raise UserError(f"{path} is a folder, and a file of this name is to be written there: move it away")
    try:
        fresh.unlink(missing_ok=True)
        yield fresh
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
    """Takes the disk space of a sparse file now, so that a disk that is too small is reported before the work."""
    size = path.stat().st_size
    if size and hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)


def check_room(what: str, folder: Path, needed: int) -> None:
    """`UserError` where a disk has less than so many bytes left."""
    if needed > (free := shutil.disk_usage(folder).free):
        raise UserError(
            f"{what} needs {needed / 1e9:.1f} GB, and {folder} has {free / 1e9:.1f} GB: make room, or choose another "
            "folder"
        )


@contextmanager
def writing(what: str, root: Path, instead: str = "another store_dir") -> Iterator[None]:
    """Turns a disk that is full, and a folder that may not be written, into a `UserError` with the way out."""
    try:
        yield
    except OSError as fault:
        if fault.errno in FULL:
            raise UserError(
                f"no space left on the disk to keep {what} in {root}: make room and run again, what is finished is kept"
            ) from fault
        if fault.errno in CLOSED and str(fault.filename).startswith(str(root)):
            raise UserError(f"cannot keep {what} in {root} ({fault.strerror}): choose {instead}") from fault
        raise


def file_digest(path: Path, *, whole: bool = False) -> str:
    """SHA-256 of a file; of evenly spaced blocks and the size where it is larger than `WHOLE_DIGEST_LIMIT`, unless
    `whole`."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as data:
        if whole or size <= WHOLE_DIGEST_LIMIT:
            while block := data.read(1 << 22):
                digest.update(block)
        else:
            for place in np.linspace(0, size - (1 << 20), 64).astype(int):
                data.seek(int(place))
                digest.update(data.read(1 << 20))
    return digest.hexdigest()


class ArrayFile:
    """An array in a .npy file of full size that is filled rows by rows, by whichever process.

    It is written and read, not mapped, so that what has been written does not stay resident. An existing file of the
    same shape and dtype is gone on with, any other is made anew.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self._row = math.prod(shape[1:]) * self.dtype.itemsize
        header = BytesIO()
        described = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        self._start = header.tell()
        size = self._start + shape[0] * self._row
        if self._begins_with(header.getvalue()):
            os.truncate(path, size)  # of one that was cut the beginning is still good
            reserve(path)
            return
        with appearing(path) as fresh:
            fresh.write_bytes(header.getvalue())
            os.truncate(fresh, size)
            reserve(fresh)

    def _begins_with(self, header: bytes) -> bool:
        if not self.path.is_file() or self.path.is_symlink():
            return False
        with self.path.open("rb") as file:
            return file.read(len(header)) == header

    def write(self, rows: slice, values: NDArray[Any]) -> None:
        values = np.ascontiguousarray(values, dtype=self.dtype)
        if values.nbytes != (rows.stop - rows.start) * self._row:
            raise ValueError(f"{values.shape} is not the shape of rows {rows.start} to {rows.stop} of {self.path}")
        with self.path.open("r+b") as file:
            file.seek(self._start + rows.start * self._row)
            file.write(values.data)

    def digest(self, rows: slice) -> str:
        left, digest = (rows.stop - rows.start) * self._row, hashlib.sha256()
        with self.path.open("rb") as file:
            file.seek(self._start + rows.start * self._row)
            while left and (block := file.read(min(left, 1 << 22))):
                digest.update(block)
                left -= len(block)
        return digest.hexdigest()
