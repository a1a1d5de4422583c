"""How far each neuron's weights moved between two checkpoints, read a pair of tensors at a time."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hneuro.models.ffn import FFN
from hneuro.models.files import StoredFFN
from hneuro.models.load import Loaded
from hneuro.origin.kinds import PARTS
from hneuro.records import UserError

CHUNK = 512  # neurons whose weights are compared at once, in float64


class Layer(Protocol):
    """The FFN weights of a layer with a row for each neuron: [neuron, hidden]."""

    def up_rows(self) -> Tensor: ...

    def down_rows(self) -> Tensor: ...

    def gate_rows(self) -> Tensor | None: ...


def loaded_distances(chat: Loaded, base: Loaded) -> NDArray[np.float64]:
    """`distances` between models in memory."""
    return distances(chat.ffn, base.ffn)


def distances(chat: FFN | StoredFFN, base: FFN | StoredFFN) -> NDArray[np.float64]:
    """Cosine distances [part, neuron], a line for each of `PARTS`: 0 = the same direction, 2 = the opposite one.

    1 - cos between both models of each neuron's row in W_up, column in W_down and row in W_gate. NaN for the gate of an
    FFN without one. From files one pair of tensors is held at a time.
    """
    if chat.space != base.space:
        raise UserError(f"chat and base model differ in shape ({chat.space} and {base.space}): no drift between them")
    pairs = list(enumerate(zip(chat.layers, base.layers, strict=True)))
    width = chat.space.width_of
    return np.stack([np.concatenate([_moved(part, a, b, width(n)) for n, (a, b) in pairs]) for part in PARTS])


def _moved(part: str, chat: Layer, base: Layer, width: int) -> NDArray[np.float64]:
    """How far one part of a layer's neurons moved [neuron]."""
    if part == "up":
        return _distance(chat.up_rows(), base.up_rows())
    if part == "down":
        return _distance(chat.down_rows(), base.down_rows())
    one, other = chat.gate_rows(), base.gate_rows()
    return np.full(width, np.nan) if one is None or other is None else _distance(one, other)


def _distance(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """1 - cos of matching rows [neuron, hidden] -> [neuron], as half the squared distance of the unit vectors.

    Unlike 1 - a.b / |a| |b| that is exactly 0 for rows that did not change, whose rounding would else be ranked.
    """
    unit, found = torch.nn.functional.normalize, []
    for one, other in zip(a.split(CHUNK), b.split(CHUNK), strict=True):
        apart = unit(one.double().cpu(), dim=1) - unit(other.double().cpu(), dim=1)
        found.append(0.5 * apart.square().sum(1))
    return np.asarray(torch.cat(found).numpy())
