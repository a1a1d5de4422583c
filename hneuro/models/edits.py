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

Kind = Literal["scale", "mean"]
Edited = Callable[[tuple[Any, ...]], tuple[Any, ...]]  # of a module's inputs, in place where no gradient is wanted
# By the gain of each neuron [row, neuron]: of a module's inputs, the gradient of the first of them, and how many rows.
Derivative = Callable[[tuple[Any, ...], "Tensor", int], "Tensor"]
Scope = Literal["all", "generated", "risky"]
LARGEST = 1000.0  # an alpha beyond it overflows in half precision, and says nothing of a neuron's effect


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What is done to the neurons of one row; at alpha = 1 nothing.

    `kind`: "scale": z becomes alpha z (paper, section 3.1); "mean": values + alpha (z - values), so that alpha = 0 sets
    it to them. `values` has one for each neuron. `scope`: at all positions; at
    those that predict what is generated, the last of the prompt and all later ones; or at these only while the risk
    that a monitor reads there is above its threshold.
    """

    neurons: tuple[int, ...] = ()
    alpha: float = 1.0
    kind: Kind = "scale"
    values: tuple[float, ...] = ()
    scope: Scope = "all"

    @property
    def untouched(self) -> bool:
        return self.alpha == 1.0 or not self.neurons


UNTOUCHED = Treatment()


def scaled(neurons: Iterable[int], alpha: float) -> Treatment:
    """z becomes alpha z at every position."""
    return Treatment(neurons=tuple(neurons), alpha=alpha)


@dataclass(frozen=True)
class LayerEdit:
    """The edits of one layer: neurons `indices` [k], and factors and offsets [row, k] (None: of no row).

    `late` [row]: rows that are edited only at the last position of a longer stretch (None: no row).
    """

    indices: Tensor
    factors: Tensor
    offsets: Tensor | None = None
    late: Tensor | None = None

    def of(self, rows: Tensor) -> LayerEdit:
        """Of these rows, in this order."""
        return replace(self._each(lambda table: table[rows]), late=None if self.late is None else self.late[rows])

    def columns(self, chosen: Tensor) -> LayerEdit:
        """Of some of the neurons."""
        return replace(self._each(lambda table: table[:, chosen]), indices=self.indices[chosen])

    def moved(self, by: int) -> LayerEdit:
        """Of the neurons that are so many numbers further."""
        return replace(self, indices=self.indices + by)

    def to(self, z: Tensor) -> LayerEdit:
        """Where z is, and in its precision."""
        late = None if self.late is None else self.late.to(z.device)
        return replace(self._each(lambda table: table.to(z)), indices=self.indices.to(z.device), late=late)

    def while_(self, active: Tensor) -> LayerEdit:
        """With the rows that are not active [row] left untouched."""
        on = active[:, None].to(self.factors.device)
        return replace(
            self,
            factors=self.factors.where(on, 1.0),
            offsets=None if self.offsets is None else self.offsets.where(on, 0.0),
        )

    def early(self) -> LayerEdit:
        """Of positions before the last of the prompt: rows that are edited late are left untouched."""
        return self if self.late is None else replace(self.while_(~self.late), late=None)

    def throughout(self) -> LayerEdit:
        """Of a stretch after the prompt, all of whose positions are late."""
        return replace(self, late=None)

    def change(self, z: Tensor) -> Tensor:
        """z [row, token, k] of its neurons, changed."""
        moved = self._changed(z, self.factors[:, None], None if self.offsets is None else self.offsets[:, None])
        if self.late is not None and z.shape[1] > 1:
            moved[self.late, :-1] = z[self.late, :-1]
        return moved

    def change_pairs(self, z: Tensor, row: Tensor, last: Tensor) -> Tensor:
        """z [pair, k] of positions of `row` [pair], changed; `last` [pair]: whether it is the last one of its row."""
        offsets = None if self.offsets is None else self.offsets[row]
        moved = self._changed(z, self.factors[row], offsets)
        return moved if self.late is None else moved.where((last | ~self.late[row])[:, None], z)

    @staticmethod
    def _changed(z: Tensor, factors: Tensor, offsets: Tensor | None) -> Tensor:
        moved = z * factors
        return moved if offsets is None else moved + offsets

    def _each(self, change: Callable[[Tensor], Tensor]) -> LayerEdit:
        return replace(
            self,
            factors=change(self.factors),
            offsets=None if self.offsets is None else change(self.offsets),
        )


@dataclass(frozen=True)
class Edits:
    """The edits of a batch by layer, and which rows are edited only at risk [row] (None: no row)."""

    by_layer: Mapping[int, LayerEdit]
    risky: Tensor | None = None

    def of(self, rows: Tensor) -> Edits:
        """Of these rows, in this order."""
        risky = None if self.risky is None else self.risky[rows]
        return Edits({layer: edit.of(rows) for layer, edit in self.by_layer.items()}, risky)

    def while_(self, active: Tensor) -> Edits:
        """With the rows that are not active [row] left untouched."""
        return Edits({layer: edit.while_(active) for layer, edit in self.by_layer.items()}, self.risky)

    def early(self) -> Edits:
        """What is done at positions before the last of the prompt."""
        return Edits({layer: edit.early() for layer, edit in self.by_layer.items()})

    def throughout(self) -> Edits:
        """What is done at several positions after the prompt at once."""
        return Edits({layer: edit.throughout() for layer, edit in self.by_layer.items()}, self.risky)


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
            factors[layer][here] = t.alpha
            offsets[layer][here] = (1 - t.alpha) * value if t.kind == "mean" else 0.0

    def placed(values: np.ndarray[Any, np.dtype[np.float32]], plain: bool = False) -> Tensor | None:
        return None if plain else torch.from_numpy(values).to(device=device, dtype=dtype)

    kinds = {t.kind for _, t in moved}
    late = [not t.untouched and t.scope != "all" for t in treatments]
    risky = [not t.untouched and t.scope == "risky" for t in treatments]
    by_layer = {}
    for layer, indices in places.items():
        scaled = placed(factors[layer])
        assert scaled is not None
        by_layer[layer] = LayerEdit(
            torch.tensor(indices, device=device),
            scaled,
            placed(offsets[layer], "mean" not in kinds),
            torch.tensor(late, device=device) if any(late) else None,
        )
    return Edits(by_layer, torch.tensor(risky, device=device) if any(risky) else None)
