"""Control sets: as many, elsewhere, and different for every seed (traps 27 and 29)."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.probe.controls import (
    NEAREST,
    ControlKind,
    contribution_matched_set,
    control_set,
    layer_matched_set,
    random_set,
)
from hneuro.records import NeuronSpace, UserError

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
    assert len(chosen) == len(set(chosen)) == len(like)
    assert list(chosen) == sorted(chosen)
    assert not set(chosen) & (exclude | like)
    assert all(type(n) is int and 0 <= n < space.size for n in chosen)
    assert control_set(kind, space, like, exclude | like, LOUDNESS, seed) == chosen
    if kind != "random":
        sizes = {layer: len(indices) for layer, indices in space.by_layer(like).items()}
        assert {layer: len(indices) for layer, indices in space.by_layer(chosen).items()} == sizes


@pytest.mark.parametrize("kind", KINDS)
def test_every_seed_draws_another_set(kind: ControlKind) -> None:
    like = (3, 44, 45, 130)
    assert len({control_set(kind, SPACE, like, like, LOUDNESS, seed) for seed in range(20)}) == 20


def test_random_sets_reach_every_neuron() -> None:
    reached = {n for seed in range(60) for n in random_set(SPACE, 20, (), seed)}
    assert len(reached) > 190


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
