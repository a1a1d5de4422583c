"""Neuron sets to compare with: as many neurons at random, anywhere or layer by layer."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hneuro.records import NeuronSpace, UserError


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
        start = layer * space.width
        free = np.setdiff1d(np.arange(start, start + space.width), np.array(sorted(exclude), dtype=np.int64))
        if len(indices) > len(free):
            raise UserError(
                f"layer {layer}: {len(indices)} control neurons were asked for, but only {len(free)} are not selected"
            )
        chosen += (int(n) for n in draw.choice(free, size=len(indices), replace=False))
    return tuple(sorted(chosen))


def control_set(
    kind: str, space: NeuronSpace, like: Collection[int], exclude: Collection[int], seed: int
) -> tuple[int, ...]:
    """A control of the kind "random" or "layer_matched" for the set `like`."""
    if kind == "random":
        return random_set(space, len(like), exclude, seed)
    assert kind == "layer_matched", kind
    return layer_matched_set(space, like, exclude, seed)
