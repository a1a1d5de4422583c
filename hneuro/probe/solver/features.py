"""The feature matrix as the solver reads it: one neuron after the other, in blocks, never as a whole.

The values [neuron, row] are float32, or float16 in a unit of its own for each neuron. The moments [4, neuron] float64
are unit, mean, standard deviation and Euclidean norm of each neuron over all rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.records import UserError

Precision = Literal["float32", "float16"]
UNIT, MEAN, SPREAD, NORM = range(4)  # the lines of the moments
BLOCK_BYTES = 4 << 20  # as float32: small enough to stay in a core's cache between the read and the product
READ_AHEAD = 32 << 20
PROBES = 16  # places of a stretch of READ_AHEAD bytes where it is asked whether they are in memory
TILE = 64  # neurons at a time where a block is worked on in several steps


class FeatureMatrix:
    """Values [neuron, row] in memory or in a file: x[j, i] = unit[j] * values[j, i], and unit is 1 for float32.

    Make one with `features_in_file` or `features_in_memory`. One whose values are a memory map is read from its file, a
    block at a time: the map itself would make the neighbours of each neuron resident, too.
    """

    def __init__(self, values: NDArray[Any], moments: NDArray[np.float64]) -> None:
        self.values, self.moments = values, moments
        self._path = Path(str(values.filename)) if isinstance(values, np.memmap) else None
        self.n_features, self.n_rows = int(values.shape[0]), int(values.shape[1])
        self.block = max(1, BLOCK_BYTES // (4 * self.n_rows))  # neurons in a block
        self._stored, self._wide = np.empty(0, values.dtype), np.empty(0, np.float32)

    @property
    def bytes_in_memory(self) -> int:
        """Of one neuron in `columns`: its values as float32, and as they are stored where that is something else."""
        stored = 0 if self.values.dtype == np.float32 else self.values.itemsize
        return (4 + stored) * self.n_rows

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first neuron, values [neuron, row] float32) in order; a block is valid only until the next one."""
        if self._path is None:
            for low in range(0, self.n_features, self.block):
                yield low, self.values[low : low + self.block]
            return
        buffer = np.empty((self.block, self.n_rows), self.values.dtype)
        wide = buffer if buffer.dtype == np.float32 else np.empty(buffer.shape, np.float32)
        stretch = max(1, READ_AHEAD // buffer.nbytes) * self.block
        with self._path.open("rb", buffering=0) as file:
            self._ahead(file, 0, stretch)
            for low in range(0, self.n_features, self.block):
                if low % stretch == 0:
                    self._ahead(file, low + stretch, stretch)
                block = buffer[: self.n_features - low]
                self._read(file, low, block)
                yield low, widen(block, wide[: len(block)])

    def columns(self, neurons: NDArray[np.intp]) -> NDArray[np.float32]:
        """The values [neuron, row] of some neurons as float32, in the unit of each; valid until the next call.

        All calls share one piece of memory: to get new pages from the system takes longer than to fill them.
        """
        if self._path is None:
            return np.asarray(self.values[neurons])
        shape = len(neurons), self.n_rows
        self._stored, lines = _room(self._stored, shape)
        with self._path.open("rb", buffering=0) as file:
            for line, neuron in zip(lines, neurons.tolist(), strict=True):
                self._read(file, neuron, line)
        if lines.dtype == np.float32:
            return lines
        self._wide, wide = _room(self._wide, shape)
        return widen(lines, wide)

    def over(self, rows: NDArray[np.intp]) -> FeatureMatrix:
        """The same values with means and deviations over some of the rows."""
        moments = np.array(self.moments)
        for low, block in self.blocks():
            here = slice(low, low + len(block))
            moments[MEAN : SPREAD + 1, here] = moments_of(block[:, rows])[MEAN : SPREAD + 1] * moments[UNIT, here]
        return FeatureMatrix(self.values, moments)

    def true_columns(self, neurons: NDArray[np.intp]) -> NDArray[np.float32]:
        """A copy of `columns`, in the unit of the model."""
        return self._in_true_unit(self.columns(neurons).copy(), neurons)

    def true_blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """`blocks` in the unit of the model."""
        for low, block in self.blocks():
            yield low, self._in_true_unit(block, slice(low, low + len(block)))

    def _in_true_unit(self, values: NDArray[np.float32], neurons: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        if self.values.dtype == np.float32:
            return values
        return values * self.moments[UNIT, neurons, None].astype(np.float32)

    def _place(self, neuron: int) -> int:
        """Where the values of a neuron begin in the file."""
        assert isinstance(self.values, np.memmap)
        return self.values.offset + neuron * self.n_rows * self.values.itemsize

    def _read(self, file: FileIO, neuron: int, into: NDArray[Any]) -> None:
        """Fills `into`, which must be contiguous, with the values from a neuron on."""
        file.seek(self._place(neuron))
        done = 0
        with memoryview(into.data).cast("B") as raw:
            while done < len(raw):
                got = file.readinto(raw[done:])
                if not got:
                    raise UserError(f"{self._path} is shorter than it was: it has been changed while it was read")
                done += got

    def _ahead(self, file: FileIO, neuron: int, height: int) -> None:
        """Has the kernel fetch some neurons, unless they seem to be in memory: asking costs as much as they do."""
        if neuron >= self.n_features:
            return
        start, stop = self._place(neuron), self._place(min(neuron + height, self.n_features))
        probe = bytearray(1)
        try:
            for place in range(start, stop, (stop - start) // PROBES + 1):
                os.preadv(file.fileno(), [probe], place, os.RWF_NOWAIT)
        except OSError:  # not in memory, or on a file system that cannot say
            os.posix_fadvise(file.fileno(), start, stop - start, os.POSIX_FADV_WILLNEED)


def features_in_memory(x: NDArray[np.floating[Any]]) -> FeatureMatrix:
    """x [row, neuron] as float32. Fortran order is taken as it is, C order is copied. UserError on NaN."""
    values = np.ascontiguousarray(np.asarray(x, dtype=np.float32).T)
    refuse_nan(values, 0)
    return FeatureMatrix(values, moments_of(values))


def moments_of(block: NDArray[np.float32]) -> NDArray[np.float64]:
    """[4, neuron]: unit 1, mean, standard deviation and norm of a block [neuron, row]; a constant has deviation 0."""
    moments = np.ones((4, len(block)))
    for low in range(0, len(block), TILE):
        some = slice(low, low + TILE)
        wide = block[some].astype(np.float64)
        moments[NORM, some] = np.sqrt(np.einsum("ji,ji->j", wide, wide))
        moments[MEAN, some] = wide.mean(1)
        wide -= moments[MEAN, some, None]
        spread = np.sqrt(np.einsum("ji,ji->j", wide, wide) / block.shape[1])
        moments[SPREAD, some] = np.where(block[some].min(1) == block[some].max(1), 0.0, spread)
    return moments


def refuse_nan(block: NDArray[np.float32], first: int) -> None:
    """UserError that names the first neuron of a block [neuron, row] that is not finite, from neuron `first` on."""
    if np.isfinite(block.max(1)).all() and np.isfinite(block.min(1)).all():  # a NaN survives both
        return
    neuron, row = (int(found[0]) for found in np.nonzero(~np.isfinite(block)))
    raise UserError(f"neuron {first + neuron} is {block[neuron, row]} in row {row}: leave out that row or that neuron")


def narrow(block: NDArray[np.float32]) -> tuple[NDArray[np.float16], NDArray[np.float64]]:
    """A finite block [neuron, row] as float16, and each neuron's unit: the power of two that puts its peak near 2^15.

    A power of two costs no accuracy: what is lost is the rounding to 11 bits alone.
    """
    from torch import from_numpy

    _, exponent = np.frexp(np.maximum(block.max(1), -block.min(1)))
    unit = np.ldexp(1.0, np.maximum(exponent - 15, -100))
    scaled = from_numpy(np.ascontiguousarray(block)) * from_numpy((1 / unit[:, None]).astype(np.float32))
    return scaled.half().numpy(), unit


def widen(block: NDArray[Any], into: NDArray[np.float32]) -> NDArray[np.float32]:
    """float16 to float32, exactly; float32 is taken as it is.

    By torch, which has the processor do it: 17 times as fast as numpy. Into memory that is there: its own allocations,
    which are aligned, would leave holes between ours, and gigabytes of them over a large file.
    """
    from torch import from_numpy

    if block.dtype != np.float32:
        from_numpy(into).copy_(from_numpy(block))
        return into
    return block


def _room(room: NDArray[Any], shape: tuple[int, int]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The room, or a larger one, and as much of it as `shape` wants."""
    size = shape[0] * shape[1]
    room = room if room.size >= size else np.empty(size, room.dtype)
    return room, room[:size].reshape(shape)


def stored_form(
    block: NDArray[np.float32], first: int, precision: Precision
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """What of a block [neuron, row] from neuron `first` on goes to a file, and its moments [4, neuron].

    float16 halves the file and keeps 11 bits of each value; the moments are those of the rounded values, because the
    solver sees only these. UserError on a value that is not finite.
    """
    refuse_nan(block, first)
    if precision == "float32":
        return block, moments_of(block)
    halves, unit = narrow(block)
    moments = moments_of(widen(halves, np.empty(halves.shape, np.float32)))
    moments[MEAN:] *= unit
    moments[UNIT] = unit
    return halves, moments


def transposed(table: NDArray[np.float32], neurons: slice) -> NDArray[np.float32]:
    """[neuron, row] of some neurons of a table [row, neuron], which may be a memory map."""
    some = table[:, neurons]
    out = np.empty((some.shape[1], len(some)), np.float32)
    for row in range(0, len(some), TILE):
        tile = np.ascontiguousarray(some[row : row + TILE])
        for low in range(0, len(out), TILE):
            out[low : low + TILE, row : row + TILE] = tile[:, low : low + TILE].T
    return out
