"""Neuron sets to compare with: as many at random, anywhere, in the same layers, or of the same contribution there."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.records import NeuronSpace, UserError

ControlKind = Literal["random", "layer_matched", "contribution_matched"]
NEAREST = 20  # neurons that a contribution-matched control is drawn from


def random_set(space: NeuronSpace, size: int, exclude: Collection[int], seed: int) -> tuple[int, ...]:
    """`size` distinct neurons outside `exclude`, ascending."""
    free = np.setdiff1d(np.arange(space.size), np.array(sorted(exclude), dtype=np.int64))
    if size > len(free):
        raise UserError(
            f"{size} random neurons were asked for, but only {len(free)} are not selected: use a sparser probe"
        )
    return tuple(sorted(int(n) for n in np.random.default_rng(seed).choice(free, size=size, replace=False)))


def layer_matched_set(
    space: NeuronSpace, like: Collection[int], exclude: Collection[int], seed: int
) -> tuple[int, ...]:
    """As many neurons in each layer as `like` has there, outside `exclude`, ascending."""
    draw = np.random.default_rng(seed)
    chosen: list[int] = []
    for layer, indices in space.by_layer(like).items():
        free = np.setdiff1d(np.arange(*space.starts[layer : layer + 2]), np.array(sorted(exclude), dtype=np.int64))
        if len(indices) > len(free):
            raise UserError(
                f"layer {layer}: {len(indices)} control neurons were asked for, but only {len(free)} are not selected"
            )
        chosen += (int(n) for n in draw.choice(free, size=len(indices), replace=False))
    return tuple(sorted(chosen))


def contribution_matched_set(
    space: NeuronSpace, like: Collection[int], exclude: Collection[int], contribution: NDArray[np.float64], seed: int
) -> tuple[int, ...]:
    """For each neuron of `like` one of the NEAREST in its layer by mean contribution [neuron], outside `exclude`."""
    draw = np.random.default_rng(seed)
    taken = set(exclude)
    chosen: list[int] = []
    for layer, indices in space.by_layer(like).items():
        start, stop = space.starts[layer : layer + 2]
        own = contribution[start:stop]
        for index in draw.permutation(indices):
            order = np.argsort(np.abs(own - own[index]), kind="stable")
            free = list(islice((n for n in order if start + n not in taken), NEAREST))
            if not free:
                raise UserError(f"layer {layer}: every neuron is selected or a control already: use a sparser probe")
            neuron = start + int(draw.choice(free))
            taken.add(neuron)
            chosen.append(neuron)
    return tuple(sorted(chosen))


def control_set(
    kind: ControlKind,
    space: NeuronSpace,
    like: Collection[int],
    exclude: Collection[int],
    contribution: NDArray[np.float64],
    seed: int,
) -> tuple[int, ...]:
    """A control set for `like`. `contribution` [neuron]: the mean CETT where detectors read."""
    if kind == "random":
        return random_set(space, len(like), exclude, seed)
    if kind == "layer_matched":
        return layer_matched_set(space, like, exclude, seed)
    return contribution_matched_set(space, like, exclude, contribution, seed)
