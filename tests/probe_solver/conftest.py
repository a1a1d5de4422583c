"""Small problems with a known shape, and scikit-learn as the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture
def x() -> NDArray[np.float32]:
    """[row, neuron]: log-normal like CETT, of very different scales, some correlated; rows 0 to 59 are of class 1."""
    rng = np.random.default_rng(5)
    shared = rng.standard_normal((200, 1))
    noise = rng.standard_normal((200, 300)) + 0.7 * shared * (rng.random(300) < 0.5)
    noise[:60, :12] += 0.9
    return np.exp(0.7 * noise + rng.normal(-3, 1, 300)).astype(np.float32)


@pytest.fixture
def y() -> NDArray[np.int8]:
    return np.repeat([1, 0], [60, 140]).astype(np.int8)
