"""The feature file of a large set of rows: made once, read by every pass over all neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.solver import FeatureMatrix, Precision, stored_form, transposed
from hneuro.stage import Rows, arrays
from hneuro.store import Kept, Store

STRIPE_BYTES = 128 << 20
IN_MEMORY = 512 << 20  # bytes of contributions above which the probe reads a file of them by neuron


def is_large(rows: int, neurons: int) -> bool:
    """Whether a file by neuron is worth its space."""
    return 4 * rows * neurons > IN_MEMORY


def by_neuron(store: Store, contributions: Kept[NDArray[np.float32]], precision: Precision) -> FeatureMatrix:
    """Contributions [response, region, neuron] transposed out of core: [neuron, response and region]."""
    table = contributions.value.reshape(-1, contributions.value.shape[-1])
    return features_in_file(store, contributions, (table.shape[1], len(table)), partial(transposed, table), precision)


def features_in_file(
    store: Store,
    of: Any,
    shape: tuple[int, int],
    block: Callable[[slice], NDArray[np.float32]],
    precision: Precision = "float32",
) -> FeatureMatrix:
    """A feature matrix of `shape` (neurons, rows) in the store, from `block`: some neurons -> [neuron, row].

    `of` identifies the rows. A killed run resumes after the last finished stripe; no more than a stripe is held.
    UserError on NaN and infinity.
    """
    kept = features(store, of, shape, block, precision)
    return FeatureMatrix(kept.value["values"], kept.value["moments"].T)


@arrays(version=1, aside=("block",))
def features(
    of: Any,  # noqa: ARG001 - the key
    shape: tuple[int, int],
    block: Callable[[slice], NDArray[np.float32]],
    precision: Precision,
) -> Rows:
    neurons, rows = shape

    def work(stripe: slice) -> Mapping[str, NDArray[Any]]:
        values, moments = stored_form(block(stripe), stripe.start, precision)
        return {"values": values, "moments": moments.T}

    kinds = {"values": (shape, str(precision)), "moments": ((neurons, 4), "float64")}
    return Rows(kinds, STRIPE_BYTES // (4 * rows), work)
