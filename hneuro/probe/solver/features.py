"""The feature matrix as the solver reads it: one neuron after the other, in blocks, never as a whole.

A feature folder holds `values.npy` [neuron, row] (float32, or float16 in a unit of its own for each neuron) and
`moments.npy` [4, neuron] float64: unit, mean, standard deviation and Euclidean norm of each neuron over all rows.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.records import UserError

VALUES, MOMENTS = "values.npy", "moments.npy"
UNIT, MEAN, SPREAD, NORM = range(4)  # the rows of moments.npy
BLOCK_BYTES = 4 << 20  # as float32: small enough to stay in a core's cache between the read and the product
READ_AHEAD = 32 << 20
TINY = np.float32(2.0**-112)  # between a float16 and the float32 with the same bits, shifted
TILE = 64  # neurons at a time where a block is worked on in several steps


class FeatureMatrix:
    """Values [neuron, row] in memory or memory-mapped: x[j, i] = unit[j] * values[j, i], and unit is 1 for float32.

    Make one with `open_features` or `features_in_memory`. A mapped one keeps no more than a block resident.
    """

    def __init__(self, values: NDArray[Any], moments: NDArray[np.float64], mapped: mmap.mmap | None = None) -> None:
        self.values, self.moments, self._mapped = values, moments, mapped
        self.n_features, self.n_rows = values.shape
        self.block = max(1, BLOCK_BYTES // (4 * self.n_rows))  # neurons in a block

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first neuron, values [neuron, row] float32) in order; a block is valid only until the next one."""
        buffer = None if self.values.dtype == np.float32 else np.empty((self.block, self.n_rows), np.float32)
        ahead = max(1, READ_AHEAD // (self.block * self.n_rows * self.values.itemsize)) * self.block
        self._advise(mmap.MADV_WILLNEED, 0, ahead)
        for low in range(0, self.n_features, self.block):
            self._advise(mmap.MADV_WILLNEED, low + ahead, self.block)
            block = self.values[low : low + self.block]
            yield low, block if buffer is None else widen(block, buffer[: len(block)])
            # The pages stay in the page cache, but no longer count as ours.
            self._advise(mmap.MADV_DONTNEED, low, self.block)

    def columns(self, neurons: NDArray[np.intp]) -> NDArray[np.float32]:
        """A copy of the values [neuron, row] of some neurons as float32, in the unit of each."""
        out = np.empty((len(neurons), self.n_rows), np.float32)
        for low in range(0, len(neurons), self.block):
            some = slice(low, low + self.block)
            if self.values.dtype == np.float32:
                np.take(self.values, neurons[some], axis=0, out=out[some], mode="clip")
            else:
                widen(self.values[neurons[some]], out[some])
            self._advise(mmap.MADV_DONTNEED, 0, self.n_features)
        return out

    def _advise(self, advice: int, low: int, height: int) -> None:
        if self._mapped is None or low >= self.n_features:
            return
        first = len(self._mapped) - self.values.nbytes  # where the header ends
        row = self.n_rows * self.values.itemsize
        start = (first + low * row) // mmap.PAGESIZE * mmap.PAGESIZE
        end = min(first + (low + height) * row, len(self._mapped))
        self._mapped.madvise(advice, start, end - start)


def open_features(folder: Path) -> FeatureMatrix:
    """A feature folder that `transpose.write_features` made. UserError if it is not one."""
    if not (folder / VALUES).is_file() or not (folder / MOMENTS).is_file():
        raise UserError(f"{folder} is not a feature folder: it lacks {VALUES} or {MOMENTS}")
    values = np.load(folder / VALUES, mmap_mode="r")
    with (folder / VALUES).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    view = np.frombuffer(mapped, values.dtype, offset=len(mapped) - values.nbytes).reshape(values.shape)
    return FeatureMatrix(view, np.load(folder / MOMENTS, mmap_mode="r"), mapped)


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
    _, exponent = np.frexp(np.maximum(block.max(1), -block.min(1)))
    unit = np.ldexp(1.0, np.maximum(exponent - 15, -100))
    halves = np.empty(block.shape, np.float16)
    for low in range(0, len(block), TILE):
        some = slice(low, low + TILE)
        bits = (block[some] * (1 / unit[some, None]).astype(np.float32) * TINY).view(np.int32)
        magnitude = bits & 0x7FFFFFFF
        magnitude += 0xFFF + ((magnitude >> 13) & 1)  # rounds to the nearest, ties to even
        bits >>= 16
        bits &= -0x8000
        bits |= magnitude >> 13
        halves[some] = bits.astype(np.int16).view(np.float16)
    return halves, unit


def widen(block: NDArray[np.float16], out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finite float16 to float32, exactly, into `out`: three times as fast as numpy's own conversion.

    The bits of a half, shifted by 13, are those of a float32 that is 2^112 times too small (denormals included).
    """
    bits = out.view(np.int32)
    for low in range(0, len(block), TILE):
        some = slice(low, low + TILE)
        np.copyto(bits[some], block[some].view(np.int16))
        np.left_shift(bits[some], 13, out=bits[some])
        np.bitwise_and(bits[some], np.int32(-0x70002000), out=bits[some])  # drops the copies of the sign but one
        np.multiply(out[some], 1 / TINY, out=out[some])
    return out
