"""The neurons of a model, what they contribute to responses, and the probes on these: records like those of records.py.

Axis names are explained there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hneuro.records import ASIDE

BLOCK_BYTES = 16 << 20  # of rows that are looked at together


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuronSpace:
    """The FFN neurons of a decoder: `n_layers` layers of `width` neurons each.

    In a mixture of experts those of a layer belong to its `experts`, one after the other, as many to each. Where layers
    differ, or have neurons outside the experts, `layers` has (experts, neurons of each, other neurons) of every
    layer, in which the others come last; `width` and `experts` are then the most that a layer has.
    """

    n_layers: int
    width: int
    experts: int = 1
    layers: tuple[tuple[int, int, int], ...] = field(default=(), metadata=ASIDE)  # keys name the model

    @property
    def size(self) -> int:
        return self.starts[-1]

    @property
    def starts(self) -> tuple[int, ...]:
        """The first neuron of each layer, and at the end the number of all."""
        return _starts(self)

    def flat(self, layer: int, index: int) -> int:
        if not (0 <= layer < self.n_layers and 0 <= index < self.width_of(layer)):
            raise IndexError(f"neuron ({layer}, {index}) is outside {self.n_layers} layers of {self.width}")
        return self.starts[layer] + index

    def width_of(self, layer: int) -> int:
        return self.starts[layer + 1] - self.starts[layer]

    def locate(self, neuron: int) -> tuple[int, int]:
        if not 0 <= neuron < self.size:
            raise IndexError(f"neuron {neuron} is outside {self.size} neurons")
        layer = bisect_right(self.starts, neuron) - 1
        return layer, neuron - self.starts[layer]

    def address(self, neuron: int) -> tuple[int, int | None, int]:
        """(layer, expert, index in it); the expert is None for a neuron that belongs to none of several."""
        layer, index = self.locate(neuron)
        experts, each = self.experts, self.width // self.experts
        if self.layers:
            experts, each, _ = self.layers[layer]
        elif experts == 1:
            return layer, None, index
        if index < experts * each:
            return layer, *divmod(index, each)
        return layer, None, index - experts * each

    def by_layer(self, neurons: Iterable[int]) -> dict[int, list[int]]:
        """Layer -> indices in that layer, both ascending."""
        found: dict[int, list[int]] = {}
        for neuron in sorted(neurons):
            layer, index = self.locate(neuron)
            found.setdefault(layer, []).append(index)
        return found


@lru_cache(maxsize=64)
def _starts(space: NeuronSpace) -> tuple[int, ...]:
    widths = [experts * each + others for experts, each, others in space.layers] or [space.width] * space.n_layers
    return tuple(accumulate(widths, initial=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """Pooled CETT of responses. `values` [response, region, neuron] float32, often a read-only memory map.

    `by_neuron` has the same vectors, in the order response by response and region by region, where they are many.
    """

    values: NDArray[np.float32]
    keys: tuple[tuple[str, int], ...]  # (question_id, sample) of each response
    regions: tuple[str, ...]
    space: NeuronSpace
    by_neuron: ByNeuron | None = None

    @property
    def table(self) -> NDArray[np.float32]:
        """[vector, neuron]: all regions of the first response, then those of the second, ..."""
        return self.values.reshape(-1, self.space.size)

    def lines(self, keys: Sequence[tuple[str, int]], region: str) -> NDArray[np.intp]:
        """The place in `table` of each key's vector of a region; KeyError names a key that was not extracted."""
        where = {key: row for row, key in enumerate(self.keys)}
        found = np.array([where[key] for key in keys], dtype=np.intp)
        return found * len(self.regions) + self.regions.index(region)


class ByNeuron(Protocol):
    """A table of vectors neuron by neuron, which may be larger than memory: what a pass over all neurons reads."""

    n_rows: int

    def true_columns(self, neurons: NDArray[np.intp]) -> NDArray[np.float32]:
        """[neuron, vector] of some neurons."""

    def true_blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first neuron, [neuron, vector]) of all of them in order; a block is valid only until the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeRows:
    """Rows for the probe: y [row] in {0, 1}, groups [row] the entity of each question, and where their vectors are.

    `table` [vector, neuron] float32 is often a memory map larger than memory, of which only some columns may be read;
    `lines` [row] says which of its vectors each row is. `by_neuron` is the same table neuron by neuron, where it was
    made because it is large.
    """

    table: NDArray[np.float32]
    lines: NDArray[np.intp]
    y: NDArray[np.int8]
    groups: NDArray[np.str_]
    space: NeuronSpace
    by_neuron: ByNeuron | None = None

    @classmethod
    def of(cls, x: NDArray[np.float32], y: NDArray[np.int8], groups: NDArray[np.str_], space: NeuronSpace) -> ProbeRows:
        """Rows that are the lines of x [row, neuron]."""
        return cls(table=x, lines=np.arange(len(x)), y=y, groups=groups, space=space)

    def at(self, rows: NDArray[np.intp]) -> ProbeRows:
        """Some of the rows, in this order; a row may come back."""
        return replace(self, lines=self.lines[rows], y=self.y[rows], groups=self.groups[rows])

    def columns(self, neurons: Sequence[int]) -> NDArray[np.float32]:
        """[row, k]: the values of k neurons."""
        chosen = np.asarray(neurons, dtype=np.intp)
        if self.by_neuron is not None:
            return self.by_neuron.true_columns(chosen)[:, self.lines].T
        return self.table[self.lines[:, None], chosen]

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first neuron, [row, neuron]) over all neurons in order; a block is valid only until the next one."""
        if self.by_neuron is not None:
            for low, block in self.by_neuron.true_blocks():
                yield low, block[:, self.lines].T
            return
        width = max(1, BLOCK_BYTES // (4 * max(1, len(self.lines))))
        for low in range(0, self.space.size, width):
            yield low, self.table[self.lines, low : low + width]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A linear probe over all neurons: score = x @ weight + bias. `strength` is C, or the count of a ranking."""

    weight: NDArray[np.float64]
    bias: float
    strength: float
    space: NeuronSpace
    gap: float | None = None  # relative duality gap that proves the optimum, where the selection has one

    def scores(self, rows: ProbeRows) -> NDArray[np.float64]:
        """Decision values [row] (log-odds of a hallucination)."""
        used = np.flatnonzero(self.weight)
        return np.asarray(rows.columns(used.tolist()), dtype=np.float64) @ self.weight[used] + self.bias

    @property
    def positive(self) -> tuple[int, ...]:
        return tuple(int(n) for n in np.flatnonzero(self.weight > 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class HNeurons:
    """The neurons with positive weight, heaviest first, and how they were selected ("l1", "elastic_net", "ranking")."""

    neurons: tuple[int, ...]
    weights: tuple[float, ...]
    space: NeuronSpace
    selection: str

    @property
    def per_mille(self) -> float:
        return 1000.0 * len(self.neurons) / self.space.size

    @property
    def in_layers(self) -> tuple[int, ...]:
        """How many there are in each layer."""
        found = self.space.by_layer(self.neurons)
        return tuple(len(found.get(layer, ())) for layer in range(self.space.n_layers))
