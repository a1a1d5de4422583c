"""What is done to neurons, each row of a batch its own: z -> factor z + offset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hneuro.neurons import NeuronSpace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Kind = Literal["scale", "mean", "gains"]
Edited = Callable[[tuple[Any, ...]], tuple[Any, ...]]  # of a module's inputs, in place where no gradient is wanted
# By the gain of each neuron [row, neuron]: of a module's inputs, the gradient of the first of them, and how many rows.
Derivative = Callable[[tuple[Any, ...], "Tensor", int], "Tensor"]
LARGEST = 1000.0  # an alpha beyond it overflows in half precision, and says nothing of a neuron's effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What is done to the neurons of one row; at alpha = 1 nothing.

    `kind`: "scale": z becomes alpha z (paper, section 3.1); "mean": values + alpha (z - values), so that alpha = 0 sets
    it to them; "gains": each z becomes its value times z at alpha = 0. `values` has one for each neuron.
    """

    neurons: tuple[int, ...] = ()
    alpha: float = 1.0
    kind: Kind = "scale"
    values: tuple[float, ...] = ()

    @property
    def untouched(self) -> bool:
        return self.alpha == 1.0 or not self.neurons

    def factor(self, value: float) -> float:
        """What z is multiplied by, of a neuron with this value."""
        return value + self.alpha * (1 - value) if self.kind == "gains" else self.alpha


UNTOUCHED = Treatment()


def scaled(neurons: Iterable[int], alpha: float) -> Treatment:
    """z becomes alpha z at every position."""
    return Treatment(neurons=tuple(neurons), alpha=alpha)


@dataclass(frozen=True)
class LayerEdit:
    """The edits of one layer: neurons `indices` [k], and factors and offsets [row, k] (None: of no row)."""

    indices: Tensor
    factors: Tensor
    offsets: Tensor | None = None

    def of(self, rows: Tensor) -> LayerEdit:
        """Of these rows, in this order."""
        return self._each(lambda table: table[rows])

    def columns(self, chosen: Tensor) -> LayerEdit:
        """Of some of the neurons."""
        return replace(self._each(lambda table: table[:, chosen]), indices=self.indices[chosen])

    def moved(self, by: int) -> LayerEdit:
        """Of the neurons that are so many numbers further."""
        return replace(self, indices=self.indices + by)

    def to(self, z: Tensor) -> LayerEdit:
        """Where z is, and in its precision."""
        return replace(self._each(lambda table: table.to(z)), indices=self.indices.to(z.device))

    def change(self, z: Tensor) -> Tensor:
        """z [row, token, k] of its neurons, changed."""
        moved = z * self.factors[:, None]
        return moved if self.offsets is None else moved + self.offsets[:, None]

    def change_pairs(self, z: Tensor, row: Tensor) -> Tensor:
        """z [pair, k] of positions of `row` [pair], changed."""
        moved = z * self.factors[row]
        return moved if self.offsets is None else moved + self.offsets[row]

    def _each(self, change: Callable[[Tensor], Tensor]) -> LayerEdit:
        return replace(
            self,
            factors=change(self.factors),
            offsets=None if self.offsets is None else change(self.offsets),
        )


@dataclass(frozen=True)
class Edits:
    """The edits of a batch by layer."""

    by_layer: Mapping[int, LayerEdit]

    def of(self, rows: Tensor) -> Edits:
        """Of these rows, in this order."""
        return Edits({layer: edit.of(rows) for layer, edit in self.by_layer.items()})


def edits(space: NeuronSpace, treatments: Sequence[Treatment], device: Any, dtype: torch.dtype) -> Edits:
    """The edits of a batch with a treatment for each row."""
    import torch

    moved = [(row, t) for row, t in enumerate(treatments) if not t.untouched]
    places = space.by_layer({neuron for _, t in moved for neuron in t.neurons})
    column = {(layer, index): k for layer, indices in places.items() for k, index in enumerate(indices)}

    def table(layer: int, fill: float) -> np.ndarray[Any, np.dtype[np.float32]]:
        return np.full((len(treatments), len(places[layer])), fill, dtype=np.float32)

    factors, offsets = ({n: table(n, fill) for n in places} for fill in (1.0, 0.0))
    for row, t in moved:
        for neuron, value in zip(t.neurons, t.values or [0.0] * len(t.neurons), strict=True):
            layer, index = space.locate(neuron)
            here = row, column[layer, index]
            factors[layer][here] = t.factor(value)
            offsets[layer][here] = (1 - t.alpha) * value if t.kind == "mean" else 0.0

    def placed(values: np.ndarray[Any, np.dtype[np.float32]], plain: bool = False) -> Tensor | None:
        return None if plain else torch.from_numpy(values).to(device=device, dtype=dtype)

    kinds = {t.kind for _, t in moved}
    by_layer = {}
    for layer, indices in places.items():
        scaled = placed(factors[layer])
        assert scaled is not None
        by_layer[layer] = LayerEdit(
            torch.tensor(indices, device=device),
            scaled,
            placed(offsets[layer], "mean" not in kinds),
        )
    return Edits(by_layer)
