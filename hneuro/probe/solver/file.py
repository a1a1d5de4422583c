"""What a feature file holds: blocks of neurons in their precision, transposed from a table of rows."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.solver.features import (
    MEAN,
    TILE,
    UNIT,
    moments_of,
    narrow,
    refuse_nan,
    widen,
)

Precision = Literal["float32", "float16"]


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
