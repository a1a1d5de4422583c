"""Neuron sets to compare with: random, in the same layers, of the same contributions, or of the same change of h."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

ControlKind = Literal["random", "layer_matched", "contribution_matched", "norm_matched"]
NEAREST = 20  # neurons that a contribution-matched control is drawn from
AS_MUCH = 0.05  # of the change in norm: how far that of a norm-matched control may lie from it, where a layer allows it


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


def norm_change(contribution: NDArray[np.float64], neurons: Collection[int]) -> float:
    """How far scaling these neurons moves the output h of the FFN, relative to ||h||, for each unit of |alpha - 1|.

    Scaling by alpha adds (alpha - 1) sum_j z_j W_j to h. The norm of that sum is sqrt(sum_j CETT_j^2) ||h|| if what
    the neurons write is orthogonal, which the columns of W_down nearly are. `contribution` [neuron]: the mean CETT of
    the answer tokens, so that this is computed from what is stored.
    """
    return float(np.sqrt(np.square(contribution[sorted(neurons)]).sum()))


def norm_matched_set(
    space: NeuronSpace, like: Collection[int], exclude: Collection[int], contribution: NDArray[np.float64], seed: int
) -> tuple[int, ...]:
    """In each layer neurons outside `exclude` that together change h as much as `like` does there (`norm_change`).

    A loud neuron may have no equal, so that a set of other neurons is drawn in its place: each with a probability in
    proportion to its CETT^2, passing over those that would take the change beyond it. Where all other neurons of a
    layer change less, all of them: `norm_change` tells.
    """
    draw = np.random.default_rng(seed)
    taken = np.array(sorted(exclude), dtype=np.int64)
    chosen: list[int] = []
    for layer, indices in space.by_layer(like).items():
        start, stop = space.starts[layer : layer + 2]
        free = np.setdiff1d(np.arange(start, stop), taken)
        if not len(free):
            raise UserError(f"layer {layer}: every neuron is selected: use a sparser probe")
        wanted = norm_change(contribution, [start + index for index in indices]) ** 2
        squares = np.square(contribution[free])
        order = np.argsort(draw.exponential(size=len(free)) / np.maximum(squares, np.finfo(float).tiny), kind="stable")
        total, own = 0.0, []
        for place in order:
            if total >= wanted * (1 - AS_MUCH) ** 2:
                break
            if total + squares[place] <= wanted * (1 + AS_MUCH) ** 2:
                total += squares[place]
                own.append(int(free[place]))
        chosen += own or [int(free[np.argmin(squares)])]
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
    matched = contribution_matched_set if kind == "contribution_matched" else norm_matched_set
    return matched(space, like, exclude, contribution, seed)
