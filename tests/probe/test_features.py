"""Rows from a file by neuron are the rows themselves, for every reader and every selection."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hneuro.neurons import Contributions, NeuronSpace
from hneuro.pipeline.stored import features_in_file
from hneuro.probe.labeling import OneVsOne, ThreeVsOne
from hneuro.probe.selectors import L1, ElasticNet, Ranking, features_of, t_statistic
from hneuro.probe.solver import Precision, transposed
from hneuro.probe.stability import correlated, resample_weights, reselect
from hneuro.records import LabelledResponse
from hneuro.store import Store

SPACE = NeuronSpace(n_layers=3, width=100)
KEYS = tuple((f"q{n}", 0) for n in range(80))
LABELLED = [
    LabelledResponse(question_id=q, group=f"e{n // 2}", sample=0, hallucinated=n < 40) for n, (q, _) in enumerate(KEYS)
]


@pytest.fixture(params=["float32", "float16"])
def found(tmp_path: Path, request: pytest.FixtureRequest) -> Contributions:
    """Contributions with their file by neuron. float16 is given values that it holds exactly."""
    precision: Precision = request.param
    values = np.random.default_rng(0).lognormal(-3, 0.5, (80, 2, 300)).astype(np.float16).astype(np.float32)
    values[:40, 0, :4] *= 2
    table = values.reshape(160, 300)
    store = Store(tmp_path)
    by_neuron = features_in_file(store, {"of": "test"}, (300, 160), partial(transposed, table), precision)
    return Contributions(values=values, keys=KEYS, regions=("answer", "other"), space=SPACE, by_neuron=by_neuron)


@pytest.mark.parametrize("labeling", [OneVsOne(), ThreeVsOne()])
def test_rows_read_by_neuron_are_the_rows(found: Contributions, labeling: OneVsOne | ThreeVsOne) -> None:
    rows = labeling.rows(found, LABELLED)
    plain = labeling.rows(replace(found, by_neuron=None), LABELLED)
    some = [299, 0, 7, 123]
    np.testing.assert_array_equal(rows.columns(some), plain.columns(some))
    np.testing.assert_array_equal(rows.columns(some), found.table[rows.lines][:, some])
    for given in (rows, plain):
        whole = np.concatenate([block.copy() for _, block in given.blocks()], axis=1)
        np.testing.assert_array_equal(whole, found.table[rows.lines])
    np.testing.assert_allclose(t_statistic(rows), t_statistic(plain), rtol=1e-9)
    assert correlated(rows, some, 0.1) == correlated(plain, some, 0.1)
    assert features_of(rows).matrix is found.by_neuron, "all labelings share one file"
    for selector in (L1(), ElasticNet(C=(1.5, 5.0)), Ranking(counts=(5, 20))):
        for one, other in zip(selector.path(rows, 0), selector.path(plain, 0), strict=True):
            np.testing.assert_array_equal(one.weight != 0, other.weight != 0)
            np.testing.assert_allclose(one.weight, other.weight, rtol=1e-4)
    weights = resample_weights(rows, 3, 0)
    assert reselect(rows, L1(), (2.0, 5.0), weights, range(3), 0) == reselect(
        plain, L1(), (2.0, 5.0), weights, range(3), 0
    )
