"""Large rows go through a file, and what is selected does not depend on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hneuro.probe import features
from hneuro.probe.features import feature_matrix
from hneuro.probe.selectors import L1
from hneuro.records import NeuronSpace, ProbeRows


def rows_in(file: Path) -> ProbeRows:
    """Rows that are a view of a memory map, as those of stored contributions are."""
    draw = np.random.default_rng(0)
    y = np.array([1] * 40 + [0] * 40, dtype=np.int8)
    values = draw.lognormal(-3, 0.5, (80, 2, 300)).astype(np.float32)
    values[:40, 0, :4] *= 2
    file.parent.mkdir(parents=True)
    np.save(file, values)
    x = np.load(file, mmap_mode="r")[:, 0]
    return ProbeRows(x=x, y=y, groups=np.arange(80).astype(str), space=NeuronSpace(n_layers=3, width=100))


def test_rows_too_large_for_memory_are_transposed_beside_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_in(tmp_path / "contributions" / "key" / "values.npy")
    in_memory = L1().path(rows, 0)
    monkeypatch.setattr(features, "IN_MEMORY", 1000)
    monkeypatch.setattr(features, "STRIPE", 1000)
    with feature_matrix(rows.x) as matrix:
        (scratch,) = (tmp_path / "contributions").glob(".features-*")
        np.testing.assert_array_equal(matrix.columns(np.arange(300)), rows.x.T)
    assert not scratch.exists()
    for one, other in zip(in_memory, L1().path(rows, 0), strict=True):
        np.testing.assert_array_equal(one.weight, other.weight)
