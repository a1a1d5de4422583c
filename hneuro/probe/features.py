"""The rows of a probe as the exact solver reads them: neuron by neuron, from a file if memory is too small."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.solver import FeatureMatrix, features_in_memory, write_features

IN_MEMORY = 512 << 20  # bytes of rows that are copied in memory instead
STRIPE = 128 << 20  # bytes that are transposed at a time


@contextmanager
def feature_matrix(x: NDArray[np.float32]) -> Iterator[FeatureMatrix]:
    """x [row, neuron] for `solve_paths`, for as long as the context lasts.

    Rows above `IN_MEMORY` are transposed once, into a scratch folder beside the file that x is mapped from.
    """
    if x.nbytes <= IN_MEMORY:
        yield features_in_memory(x)
        return
    with tempfile.TemporaryDirectory(prefix=".features-", dir=_beside(x)) as scratch:
        height = max(64, STRIPE // (4 * len(x)))
        stripes = (np.ascontiguousarray(x[:, low : low + height].T) for low in range(0, x.shape[1], height))
        yield write_features(Path(scratch) / "features", stripes, x.shape[1], len(x))


def _beside(x: NDArray[np.float32]) -> Path | None:
    """The folder of the stage whose file x is a view of; None, the system's folder for scratch, if it is of none."""
    base: object = x
    while base is not None:
        if isinstance(base, np.memmap) and base.filename is not None:
            return Path(base.filename).parent.parent
        base = getattr(base, "base", None)
    return None
