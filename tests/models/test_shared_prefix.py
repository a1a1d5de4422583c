"""The prefix that all sequences share is read once, in every layout that remembers by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.contributions.extract import Prefix, extract, residual
from hneuro.models.ffn import find_ffn
from hneuro.models.load import Loaded

HEAD = 10


def read(model: Any, lengths: tuple[int, ...]) -> tuple[int, NDArray[np.float32], NDArray[np.float32]]:
    """The tokens of the shared beginning, and the last two tokens as read together and alone."""
    loaded = Loaded(model, find_ffn(model))
    draw = np.random.default_rng(1)
    head = draw.integers(3, 48, size=HEAD).tolist()
    ids = [[*head, 3 + n, *draw.integers(3, 48, size=length).tolist()] for n, length in enumerate(lengths)]
    weights = [np.zeros((1, len(own)), np.float32) for own in ids]
    for own in weights:
        own[0, -2:] = 0.5
    flat = [own[0] for own in weights]
    together = np.concatenate(
        [extract(loaded, ids, weights, 10_000), _rows(residual(loaded, ids, flat, 10_000))], axis=2
    )
    alone = [
        np.concatenate([extract(loaded, [i], [w], 99), _rows(residual(loaded, [i], [w[0]], 99))], axis=2)
        for i, w in zip(ids, weights, strict=True)
    ]
    return Prefix.of(loaded, ids, weights).length, together, np.concatenate(alone)


def _rows(found: NDArray[np.float32]) -> NDArray[np.float32]:
    return found.reshape(len(found), 1, -1)


def test_of_dense_layouts(dense: Any) -> None:
    length, together, alone = read(dense, (6, 3, 4))
    assert length == (0 if getattr(dense.config.get_text_config(), "sliding_window", None) else HEAD)
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_of_mixtures(mixture: Any) -> None:
    _, together, alone = read(mixture, (6, 3, 4))
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_not_where_a_layer_remembers_otherwise(layout: Any) -> None:
    length, together, alone = read(layout("lfm2"), (6, 3, 4))
    assert length == 0
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-5)
