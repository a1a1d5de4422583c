"""The records' own arithmetic."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro import neurons, records, result_records
from hneuro.neurons import Contributions, NeuronSpace, Probe, ProbeRows

layers = st.tuples(st.integers(0, 9), st.integers(0, 500), st.integers(1, 3000))
spaces = st.one_of(
    st.builds(NeuronSpace, n_layers=st.integers(1, 100), width=st.integers(1, 30000)),
    st.builds(
        lambda shapes: NeuronSpace(
            n_layers=len(shapes), width=max(n * each + others for n, each, others in shapes), layers=tuple(shapes)
        ),
        st.lists(layers, min_size=1, max_size=30),
    ),
)


@settings(deadline=None)
@given(spaces, st.data())
def test_flat_and_place_are_inverse(space: NeuronSpace, data: st.DataObject) -> None:
    neuron = data.draw(st.integers(0, space.size - 1))
    layer, index = space.locate(neuron)
    assert 0 <= layer < space.n_layers
    assert 0 <= index < space.width_of(layer) <= space.width
    assert space.flat(layer, index) == neuron


@settings(deadline=None)
@given(spaces, st.data())
def test_by_layer_keeps_every_neuron_once(space: NeuronSpace, data: st.DataObject) -> None:
    neurons = data.draw(st.sets(st.integers(0, space.size - 1), max_size=20))
    found = space.by_layer(neurons)
    assert list(found) == sorted(found)
    assert all(indices == sorted(indices) for indices in found.values())
    assert {space.flat(layer, index) for layer, indices in found.items() for index in indices} == neurons


def test_a_neuron_of_a_mixture_belongs_to_an_expert_or_to_none() -> None:
    space = NeuronSpace(n_layers=3, width=11, experts=3, layers=((0, 0, 5), (3, 2, 5), (2, 4, 0)))
    assert (space.size, space.starts) == (24, (0, 5, 16, 24))
    assert [space.address(n) for n in (4, 5, 10, 11, 15, 16, 23)] == [
        (0, None, 4), (1, 0, 0), (1, 2, 1), (1, None, 0), (1, None, 4), (2, 0, 0), (2, 1, 3),
    ]  # fmt: skip


def test_contributions_find_rows_and_regions_by_name() -> None:
    space = NeuronSpace(n_layers=1, width=3)
    values = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    found = Contributions(values=values, keys=(("q", 0), ("q", 4)), regions=("answer", "other"), space=space)
    lines = found.lines([("q", 4), ("q", 0)], "other")
    np.testing.assert_array_equal(found.table[lines], [[9, 10, 11], [3, 4, 5]])
    assert np.shares_memory(found.table, values)
    with pytest.raises(KeyError, match="p"):
        found.lines([("p", 0)], "answer")


def test_scores_are_the_whole_linear_map_though_only_nonzero_weights_are_read() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(5, 6)).astype(np.float32)
    weight = np.array([0.0, 2.0, 0.0, -1.5, 0.0, 0.25])
    probe = Probe(weight=weight, bias=0.5, strength=1.0, space=NeuronSpace(n_layers=2, width=3))
    rows = ProbeRows.of(x=x, y=np.zeros(5, np.int8), groups=np.zeros(5, str), space=probe.space)
    np.testing.assert_allclose(probe.scores(rows), x.astype(np.float64) @ weight + 0.5)
    assert probe.positive == (1, 5)


def test_every_record_is_frozen_slotted_and_keyword_only() -> None:
    found = [v for v in (vars(records) | vars(neurons) | vars(result_records)).values() if dataclasses.is_dataclass(v)]
    assert len(found) >= 32
    for record in found:
        settings_of = record.__dataclass_params__
        assert settings_of.frozen, record
        assert "__slots__" in vars(record), record
        assert all(f.kw_only for f in dataclasses.fields(record)), record
