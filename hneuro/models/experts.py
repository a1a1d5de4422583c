"""The neurons of a mixture of experts: (layer, expert, index), the inputs of every expert's down projection.

The experts of a layer keep their weights in one tensor, and no module has their neurons as its input. So the layer's
experts are computed by `_forward`, as transformers allows, up to a module of our own, `Routed`, whose input is the
neurons of the experts that a token was routed to, and whose output is that of the layer. It has no weights of its own.

A neuron's contribution counts as it reaches the layer's output, weighted by the router. Where a token is not routed to
an expert, the expert's neurons are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from accelerate.utils import align_module_device
from torch import Tensor, nn
from torch.nn import functional

from hneuro.models.edits import Derivative, Edited, LayerEdit
from hneuro.models.weights import by_row

if TYPE_CHECKING:
    from hneuro.models.ffn import DownProjection

Passed = tuple[tuple[Any, ...], Any]  # what a module was given, and gave
IMPLEMENTATION = "hneuro"
FORM = ("num_experts", "has_gate", "has_bias", "has_post_expert_norm", "is_transposed", "is_concatenated")


@dataclass(frozen=True)
class Routing:
    """The pairs of a token and an expert that it goes to, sorted by expert."""

    token: Tensor  # [pair]
    expert: Tensor  # [pair]
    weight: Tensor  # [pair]
    ends: Tensor  # [expert] int32: where the pairs of each expert end
    order: Tensor  # [pair]: place of each among the pairs sorted by token
    tokens: int


class Routed(nn.Module):
    """z [pair, index] -> h [token, hidden]: down through each pair's expert, weighted, and summed over each token's."""

    def forward(self, z: Tensor, routing: Routing, experts: Any) -> Tensor:
        out = _each(z, experts.down_proj, routing, experts, "down_proj")
        weighted = torch.empty_like(out)
        weighted[routing.order] = out * routing.weight[:, None]
        # Not `index_add_`, whose order of summation varies on a GPU.
        return weighted.view(routing.tokens, -1, out.shape[-1]).sum(1).to(z.dtype)


def supports(experts: nn.Module) -> bool:
    """Whether these are experts that `attach` can open: gated, whole, and in weights that can be multiplied."""
    if not all(hasattr(experts, name) for name in FORM):
        return False
    known: Any = experts
    plain = isinstance(known.down_proj, nn.Parameter) and known.down_proj.ndim == 3
    return bool(plain and known.down_proj.is_floating_point() and known.has_gate and not known.has_post_expert_norm)


def attach(model: Any, experts: nn.Module) -> None:
    """Has the model compute its experts so that their neurons can be observed and scaled. What it computes stays."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    if not hasattr(experts, "routed"):
        experts.routed = Routed()
    ALL_EXPERTS_FUNCTIONS.register(IMPLEMENTATION, _forward)
    model.set_experts_implementation(IMPLEMENTATION)


def _forward(experts: Any, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
    tokens, k = top_k_index.shape
    expert, order = torch.sort(top_k_index.reshape(-1), stable=True)
    ends = torch.bincount(expert, minlength=experts.num_experts).cumsum(0).int()
    routing = Routing(order // k, expert, top_k_weights.reshape(-1)[order], ends, order, tokens)
    gate_up = _each(hidden_states[routing.token], experts.gate_up_proj, routing, experts, "gate_up_proj")
    h: Tensor = experts.routed(experts._apply_gate(gate_up), routing, experts)
    return h


def _each(x: Tensor, weight: Tensor, routing: Routing, experts: Any, name: str) -> Tensor:
    """x [pair, in] through the matrix of each pair's expert: [pair, out]."""
    matrices = weight if experts.is_transposed else weight.transpose(-2, -1)  # [expert, in, out]
    if x.device.type == "cuda" and hasattr(functional, "grouped_mm"):
        out = functional.grouped_mm(x.to(weight.dtype), matrices, offs=routing.ends)
    else:
        parts = x.to(weight.dtype).tensor_split(routing.ends[:-1].tolist())
        out = torch.cat([part @ matrix for part, matrix in zip(parts, matrices, strict=True)])
    return out + getattr(experts, f"{name}_bias")[routing.expert] if experts.has_bias else out


@dataclass(frozen=True)
class RoutedProjection:
    """The down projections of one layer's experts. Neuron (expert, index) is number expert * (width of one) + index."""

    experts: Any
    dtype: torch.dtype

    parts: ClassVar[tuple[nn.Module, ...]] = ()

    def inputs_of(self, inputs: tuple[Any, ...], _: Mapping[nn.Module, Passed]) -> tuple[Any, ...]:
        return inputs

    @property
    def module(self) -> nn.Module:
        routed: nn.Module = self.experts.routed
        return routed

    @property
    def weight(self) -> Tensor:
        weight: Tensor = self.experts.down_proj
        return weight

    @property
    def count(self) -> int:
        return len(self.weight)

    @property
    def is_plain(self) -> bool:
        return True  # checked by `supports`

    @property
    def shape(self) -> tuple[int, int, int]:
        """(experts, neurons of each, neurons outside of them)."""
        return self.count, self.width // self.count, 0

    @property
    def width(self) -> int:
        return self.count * self.weight.shape[1 if self.experts.is_transposed else 2]

    def down_rows(self) -> Tensor:
        """Every W_down with a row for each neuron: [neuron, hidden]."""
        with align_module_device(self.experts):
            weight = self.experts.down_proj.detach()
            rows: Tensor = weight if self.experts.is_transposed else weight.transpose(1, 2)
            return rows.reshape(self.width, -1)

    def up_rows(self) -> Tensor:
        """Every W_up with a row for each neuron: [neuron, hidden]."""
        both = self._gate_and_up()
        up = both[:, both.shape[1] // 2 :] if self.experts.is_concatenated else both[:, 1::2]
        return up.reshape(self.width, -1)

    def gate_rows(self) -> Tensor | None:
        """Every W_gate with a row for each neuron: [neuron, hidden]."""
        both = self._gate_and_up()
        gate = both[:, : both.shape[1] // 2] if self.experts.is_concatenated else both[:, ::2]
        return gate.reshape(self.width, -1)

    def _gate_and_up(self) -> Tensor:
        """[expert, gate and up, hidden]."""
        with align_module_device(self.experts):
            both: Tensor = self.experts.gate_up_proj.detach()
            return both.transpose(1, 2) if self.experts.is_transposed else both

    def column_norms(self) -> Tensor:
        """||W_down[:, j]||_2 of every neuron, [neuron], in float32 or a higher precision of the weight."""
        precise = torch.promote_types(self.dtype, torch.float32)
        hidden_axis = 1 if self.experts.is_transposed else 0
        with align_module_device(self.experts):
            norms = [torch.linalg.vector_norm(w, dim=hidden_axis, dtype=precise) for w in self.experts.down_proj]
        return torch.cat(norms)

    def neurons(self, inputs: tuple[Any, ...], rows: int, last: bool = False) -> Tensor:
        """[row, token, neuron], weighted by the router, 0 where a token is not routed to; `last`: of the last token."""
        z, routing, _ = inputs
        token, expert, weight, tokens = routing.token, routing.expert, routing.weight, routing.tokens
        if last:  # those of all the tokens of a prompt would need much memory
            each = tokens // rows
            own = token % each == each - 1
            z, token, expert, weight, tokens = z[own], token[own] // each, expert[own], weight[own], rows
        every = z.new_zeros(tokens, self.count, z.shape[-1])
        every[token, expert] = z * weight[:, None]
        return by_row(every.flatten(1), rows)

    def expected(self, inputs: tuple[Any, ...]) -> Tensor:
        """h [token, hidden] as the definition has it: every neuron times its column, and the biases."""
        _, routing, experts = inputs
        h = self.neurons(inputs, 1)[0] @ self.down_rows()
        if experts.has_bias:
            share = routing.weight.new_zeros(routing.tokens, self.count)
            share[routing.token, routing.expert] = routing.weight
            h += share.to(h.dtype) @ experts.down_proj_bias
        return h

    def edited_by(self, edit: LayerEdit) -> list[tuple[nn.Module, Edited]]:
        """The modules whose inputs are edited, and how."""
        each = self.width // self.count
        of_expert = edit.indices // each
        columns = {expert: edit.columns(of_expert == expert) for expert in set(of_expert.tolist())}

        def edited(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            z, routing, experts = inputs
            z = z.clone() if torch.is_grad_enabled() else z
            length = routing.tokens // len(edit.factors)  # positions of a row
            row = routing.token // length
            ends = [0, *routing.ends.tolist()]
            for expert, own in columns.items():
                pairs = slice(ends[expert], ends[expert + 1])
                here = own.to(z)
                inside = here.indices % each
                moved = here.change_pairs(z[pairs][:, inside], row[pairs])
                z[pairs] = z[pairs].index_copy(-1, inside, moved)
            return z, routing, experts

        return [(self.module, edited)]

    @property
    def derivatives(self) -> list[tuple[nn.Module, Derivative]]:
        """The module whose first input is z, and what its gradient says of each neuron's gain."""

        def derivative(inputs: tuple[Any, ...], gradient: Tensor, rows: int) -> Tensor:
            z, routing, _ = inputs
            product = (z * gradient).to(torch.promote_types(z.dtype, torch.float32))
            # A product of matrices: the order in which `index_add_` sums varies on a GPU.
            own = functional.one_hot(routing.token // (routing.tokens // rows), rows).to(product)
            ends = routing.ends[:-1].tolist()
            parts = zip(own.tensor_split(ends), product.tensor_split(ends), strict=True)
            return torch.cat([of_row.T @ part for of_row, part in parts], dim=-1)

        return [(self.module, derivative)]


@dataclass(frozen=True)
class SharedProjection:
    """The routed experts of a layer, then an FFN that every token goes through, a "shared expert", in one block.

    Neither alone is the layer's output h, by whose size contributions are measured: `module` is the block that adds
    them up, and its inputs are here those of both, with the weight [token, 1] of the shared one by its `gate`.
    """

    module: nn.Module
    routed: RoutedProjection
    shared: DownProjection
    gate: nn.Module | None

    @property
    def parts(self) -> tuple[nn.Module, ...]:
        return (self.routed.module, self.shared.module, *([] if self.gate is None else [self.gate]))

    def inputs_of(self, _: tuple[Any, ...], within: Mapping[nn.Module, Passed]) -> tuple[Any, ...]:
        weight = None if self.gate is None else torch.sigmoid(within[self.gate][1])
        return within[self.routed.module][0], within[self.shared.module][0][0], weight

    @property
    def dtype(self) -> torch.dtype:
        return self.routed.dtype

    @property
    def is_plain(self) -> bool:
        return self.shared.is_plain

    @property
    def shape(self) -> tuple[int, int, int]:
        """(experts, neurons of each, neurons outside of them)."""
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

    def neurons(self, inputs: tuple[Any, ...], rows: int, last: bool = False) -> Tensor:
        """[row, token, neuron], weighted as they reach h, 0 where a token is not routed to; `last`: of the last one."""
        routed, z, gate = inputs
        own = by_row(z if gate is None else z * gate, rows)[:, -last:]
        return torch.cat([self.routed.neurons(routed, rows, last), own], dim=-1)

    def expected(self, inputs: tuple[Any, ...]) -> Tensor:
        """h as the definition has it: every neuron times its column, and the biases."""
        routed, z, gate = inputs
        own = self.shared.expected((z,))
        own = own if gate is None else own * gate
        return self.routed.expected(routed) + own.flatten(end_dim=-2)

    def edited_by(self, edit: LayerEdit) -> list[tuple[nn.Module, Edited]]:
        """Those of both, each with its own neurons."""
        of_routed = edit.indices < self.routed.width
        own = edit.columns(~of_routed)
        own = own.moved(-self.routed.width)
        hooks = self.routed.edited_by(edit.columns(of_routed)) if of_routed.any() else []
        return [*hooks, *(self.shared.edited_by(own) if len(own.indices) else [])]

    @property
    def derivatives(self) -> list[tuple[nn.Module, Derivative]]:
        """Those of both, each of its own neurons."""

        def placed(own: Derivative, before: int, after: int) -> Derivative:
            return lambda *given: functional.pad(own(*given), (before, after))

        ((routed, first),), ((shared, second),) = self.routed.derivatives, self.shared.derivatives
        widths = self.routed.width, self.shared.width
        return [(routed, placed(first, 0, widths[1])), (shared, placed(second, widths[0], 0))]
