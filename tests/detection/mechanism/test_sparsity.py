"""Sparsity of vectors whose sparsity is known."""

from __future__ import annotations

import numpy as np
import pytest

from hneuro.detection.mechanism import sparsity as module
from hneuro.detection.mechanism.signals import active_share, hoyer, sparsity, sparsity_of
from hneuro.records import NeuronSpace

ONE = np.array([[0, 5, 0, 0]], np.float32)
EVEN = np.full((1, 10), 0.3, np.float32)
NONE = np.zeros((1, 4), np.float32)


@pytest.mark.parametrize(("x", "share", "index"), [(ONE, 0.25, 1.0), (EVEN, 0.9, 0.0), (NONE, np.nan, np.nan)])
def test_one_neuron_all_neurons_and_none(x: np.ndarray, share: float, index: float) -> None:
    np.testing.assert_allclose(active_share(x), [share])
    np.testing.assert_allclose(hoyer(x), [index], atol=1e-6)


def test_ninety_percent_is_reached_exactly_and_neither_measure_depends_on_the_scale() -> None:
    x = np.array([[1, 4, 5, 0, 0, 0, 0, 0, 0, 0]], np.float32)  # 5 and 4 of 10
    np.testing.assert_allclose(active_share(x), [0.2])
    np.testing.assert_allclose(active_share(1000 * x), [0.2])
    np.testing.assert_allclose(hoyer(1000 * x), hoyer(x))
    np.testing.assert_allclose(hoyer(x), [(np.sqrt(10) - 10 / np.sqrt(42)) / (np.sqrt(10) - 1)], rtol=1e-6)


@pytest.mark.parametrize("layers", [(), ((0, 0, 5), (2, 4, 3), (0, 0, 8))])
def test_layers_are_measured_alone_and_together_in_blocks_as_at_once(
    monkeypatch: pytest.MonkeyPatch, layers: tuple[tuple[int, int, int], ...]
) -> None:
    space = NeuronSpace(n_layers=3, width=11 if layers else 8, layers=layers)
    table = np.random.default_rng(0).lognormal(0, 2, (20, space.size)).astype(np.float32)
    lines = np.array([4, 2, 19, 7, 7])
    whole = sparsity(table[lines], space)
    assert whole.shape == (5, 2, 4)
    np.testing.assert_allclose(whole[:, 0, 0], active_share(table[lines]))
    np.testing.assert_allclose(
        whole[:, 1, 2], hoyer(table[lines][:, slice(*((5, 16) if layers else (8, 16)))]), rtol=1e-6
    )
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * space.size * 2)  # two rows at a time
    np.testing.assert_array_equal(sparsity_of(table, lines, space), whole)
    assert sparsity_of(table, lines[:0], space).shape == (0, 2, 4)
