"""How many neurons carry a response: familiar inputs are said to be represented densely, unfamiliar ones sparsely."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hneuro.records import BLOCK_BYTES, NeuronSpace

MEASURES = ("active_share", "hoyer")
CARRIED = 0.9  # share of the contribution that the active neurons carry


def active_share(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Smallest share of the neurons that carries 90 % of the contribution: x [row, neuron], not negative -> [row].

    1 / neurons where one has it all, 0.9 where all are equal; NaN for a row of zeros.
    """
    carried = np.cumsum(np.sort(x, axis=-1)[:, ::-1], axis=-1, dtype=np.float64)
    total = carried[:, -1:]
    # Rounded sums may miss an exact share by a few units in the last place.
    count = 1 + (carried < CARRIED * total * (1 - 1e-12)).sum(-1)
    return np.where(total[:, 0] > 0, count / x.shape[-1], np.nan)


def hoyer(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Hoyer's index (2004): 0 where all neurons are equal, 1 where one has it all; NaN for a row of zeros. [row]."""
    one = np.abs(x).sum(-1, dtype=np.float64)
    two = np.sqrt(np.square(x, dtype=np.float64).sum(-1))
    root = np.sqrt(x.shape[-1])
    return np.asarray((root - np.divide(one, two, out=np.full(len(x), np.nan), where=two > 0)) / (root - 1))


def sparsity(x: NDArray[np.float32], space: NeuronSpace) -> NDArray[np.float32]:
    """Both measures of pooled CETT x [row, neuron]: [row, measure, 1 + layer], the first over all layers together."""
    parts = [x, *(x[:, first:stop] for first, stop in pairwise(space.starts))]
    return np.stack([[active_share(part), hoyer(part)] for part in parts]).transpose(2, 1, 0).astype(np.float32)


def sparsity_of(table: NDArray[np.float32], lines: NDArray[np.intp], space: NeuronSpace) -> NDArray[np.float32]:
    """`sparsity` of some vectors of a table [vector, neuron] that may be larger than memory, a few at a time."""
    found = [sparsity(table[block], space) for block in _blocks(lines, space)]
    return np.concatenate([np.empty((0, len(MEASURES), 1 + space.n_layers), np.float32), *found])


def _blocks(lines: NDArray[np.intp], space: NeuronSpace) -> Iterator[NDArray[np.intp]]:
    height = max(1, BLOCK_BYTES // (4 * space.size))
    for start in range(0, len(lines), height):
        yield lines[start : start + height]
