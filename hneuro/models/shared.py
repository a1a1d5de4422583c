"""Layers whose output is that of routed experts and of an FFN that every token goes through, a "shared expert".

Neither of them alone is the layer's output h, by whose size contributions are measured. So the block that adds them up
is followed, whenever somebody observes it, by a module of ours, `Sum`, that sees the neurons of both and h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hneuro.models.edits import LayerEdit
from hneuro.models.experts import RoutedProjection
from hneuro.models.weights import by_row

if TYPE_CHECKING:
    from hneuro.models.ffn import DownProjection, Hook


class Sum(nn.Module):
    """h, with the inputs of the routed experts and of the shared one, and the weight [token, 1] of that one, if any."""

    def forward(self, h: Tensor, routed: tuple[Any, ...], z: Tensor, gate: Tensor | None) -> Tensor:
        return h


def attach(block: nn.Module, experts: Any, shared: nn.Module, gate: nn.Module | None) -> Sum:
    """The `Sum` of a block. What it computes stays, and where nobody observes it, it is not even called."""
    found = getattr(block, "hneuro_sum", None)
    if isinstance(found, Sum):
        return found
    from hneuro.models.hooks import noted  # which follows what is attached here

    total, plain = Sum(), block.forward
    parts = {"routed": experts.routed, "shared": shared} | ({} if gate is None else {"gate": gate})
    block.hneuro_sum = total

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not total._forward_hooks:
            return plain(*args, **kwargs)
        with noted(parts) as seen:
            out = plain(*args, **kwargs)
        weight = None if gate is None else torch.sigmoid(seen["gate"][1])
        total(out[0] if isinstance(out, tuple) else out, seen["routed"][0], seen["shared"][0][0], weight)
        return out

    block.forward = forward
    return total


@dataclass(frozen=True)
class SharedProjection:
    """The down projections of a layer's experts, then that of its shared expert: the order of its neurons."""

    module: Sum
    routed: RoutedProjection
    shared: DownProjection

    @property
    def dtype(self) -> torch.dtype:
        return self.routed.dtype

    @property
    def is_plain(self) -> bool:
        return self.shared.is_plain

    @property
    def shape(self) -> tuple[int, int, int]:
        """(experts, neurons of each, neurons beside them)."""
        return (*self.routed.shape[:2], self.shared.width)

    @property
    def width(self) -> int:
        return self.routed.width + self.shared.width

    def down_rows(self) -> Tensor:
        """Every W_down with a row for each neuron: [neuron, hidden]."""
        return torch.cat([self.routed.down_rows(), self.shared.down_rows()])

    def up_rows(self) -> Tensor:
        """Every W_up with a row for each neuron: [neuron, hidden]."""
        return torch.cat([self.routed.up_rows(), self.shared.up_rows()])

    def gate_rows(self) -> Tensor | None:
        """Every W_gate with a row for each neuron; None where one of both has no gate."""
        parts = self.routed.gate_rows(), self.shared.gate_rows()
        return None if parts[0] is None or parts[1] is None else torch.cat([parts[0], parts[1]])

    def column_norms(self) -> Tensor:
        """||W_down[:, j]||_2 of every neuron, [neuron], in float32 or a higher precision of the weight."""
        return torch.cat([self.routed.column_norms(), self.shared.column_norms()])

    def neurons(self, inputs: tuple[Any, ...], rows: int) -> Tensor:
        """[row, token, neuron], weighted as they reach h, 0 where a token is not routed to."""
        _, routed, z, gate = inputs
        own = by_row(z if gate is None else z * gate, rows)
        return torch.cat([self.routed.neurons(routed, rows), own], dim=-1)

    def expected(self, inputs: tuple[Any, ...]) -> Tensor:
        """h as the definition has it: every neuron times its column, and the biases."""
        _, routed, z, gate = inputs
        own = self.shared.expected((z,))
        own = own if gate is None else own * gate
        return self.routed.expected(routed) + own.flatten(end_dim=-2)

    def edited_by(self, edit: LayerEdit) -> list[Hook]:
        """Those of both, each with its own neurons."""
        of_routed = edit.indices < self.routed.width
        own = edit.columns(~of_routed)
        own = own.moved(-self.routed.width)
        hooks = self.routed.edited_by(edit.columns(of_routed)) if of_routed.any() else []
        return [*hooks, *(self.shared.edited_by(own) if len(own.indices) else [])]
