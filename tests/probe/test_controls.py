"""Control sets: as many or as loud, elsewhere, and different for every seed."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.neurons import NeuronSpace
from hneuro.probe.controls import (
    NEAREST,
    ControlKind,
    contribution_matched_set,
    control_set,
    layer_matched_set,
    norm_change,
    norm_matched_set,
    random_set,
)
from hneuro.records import UserError

SPACE = NeuronSpace(n_layers=5, width=40)
RAGGED = NeuronSpace(n_layers=4, width=70, experts=4, layers=((0, 0, 40), (4, 15, 10), (0, 0, 50), (2, 20, 0)))
KINDS = get_args(ControlKind)
LOUDNESS = np.random.default_rng(0).exponential(size=SPACE.size)


@settings(deadline=None, max_examples=50)
@given(
    st.sets(st.integers(0, SPACE.size - 1), min_size=1, max_size=12),
    st.sets(st.integers(0, SPACE.size - 1), max_size=20),
    st.integers(0, 10**6),
    st.sampled_from(KINDS),
    st.sampled_from((SPACE, RAGGED)),
)
def test_controls_are_distinct_and_outside_what_is_excluded(
    like: set[int], exclude: set[int], seed: int, kind: ControlKind, space: NeuronSpace
) -> None:
    chosen = control_set(kind, space, like, exclude | like, LOUDNESS, seed)
    assert list(chosen) == sorted(set(chosen))
    assert not set(chosen) & (exclude | like)
    assert all(type(n) is int and 0 <= n < space.size for n in chosen)
    assert control_set(kind, space, like, exclude | like, LOUDNESS, seed) == chosen
    if kind == "norm_matched":
        assert set(space.by_layer(chosen)) == set(space.by_layer(like))
        return
    assert len(chosen) == len(like)
    if kind != "random":
        sizes = {layer: len(indices) for layer, indices in space.by_layer(like).items()}
        assert {layer: len(indices) for layer, indices in space.by_layer(chosen).items()} == sizes


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(UserError, match=r"101 random neurons were asked for, but only 100 are not selected"):
        random_set(SPACE, 101, range(100), seed=0)
    assert len(random_set(SPACE, 100, range(100), seed=0)) == 100


def test_a_full_layer_is_refused() -> None:
    with pytest.raises(UserError, match=r"layer 1: 21 control neurons were asked for, but only 19"):
        layer_matched_set(SPACE, range(40, 61), range(40, 61), seed=0)


def test_contribution_matched_neurons_are_the_nearest_of_their_layer() -> None:
    loudest = [int(layer * SPACE.width + np.argmax(LOUDNESS.reshape(5, 40)[layer])) for layer in range(5)]
    for seed in range(20):
        chosen = contribution_matched_set(SPACE, loudest, loudest, LOUDNESS, seed)
        for neuron, own in zip(chosen, loudest, strict=True):
            assert neuron // SPACE.width == own // SPACE.width
            in_layer = LOUDNESS[own // SPACE.width * SPACE.width :][: SPACE.width]
            louder = int((in_layer > LOUDNESS[neuron]).sum())
            assert 1 <= louder <= NEAREST


def test_a_loud_neuron_has_norm_matched_controls_that_are_as_loud() -> None:
    """One neuron that writes more than any other of its layer: nothing else is as loud but several together."""
    space = NeuronSpace(n_layers=3, width=2000)
    contribution = np.random.default_rng(1).exponential(0.01, size=space.size)
    loud = 2345
    contribution[loud] = 0.3
    wanted = norm_change(contribution, [loud])
    assert wanted == pytest.approx(0.3)
    for seed in range(10):
        chosen = norm_matched_set(space, [loud], [loud], contribution, seed)
        assert norm_change(contribution, chosen) == pytest.approx(wanted, rel=0.05)
        assert {space.locate(n)[0] for n in chosen} == {1}
        for kind in ("random", "layer_matched", "contribution_matched"):
            others = control_set(kind, space, [loud], [loud], contribution, seed)
            assert norm_change(contribution, others) < wanted / 2


@pytest.mark.parametrize(("planted", "count"), [(100.0, 39), (1e-9, 1)])
def test_a_layer_without_a_set_as_loud_gives_what_comes_nearest(planted: float, count: int) -> None:
    contribution = LOUDNESS.copy()
    contribution[45] = planted
    assert len(norm_matched_set(SPACE, [45], [45], contribution, 0)) == count
