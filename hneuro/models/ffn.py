"""Where the FFN neurons of a decoder are: the down projection of every layer, found by structure and then proven.

A neuron is one input of a down projection h = W_down z (+ bias). Finding them by name alone goes wrong silently (vision
towers have down projections too, expert weights hide from it), so what is found is checked by a small forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hneuro.models.edits import Derivative, Edited, LayerEdit
from hneuro.models.experts import Passed, RoutedProjection, SharedProjection, attach, supports
from hneuro.models.weights import (
    bias_of,
    by_input,
    by_row,
    inputs_first,
    is_quantised,
    read_blocks,
    shape_of,
    whole_weight,
)
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

ATTENTION_NAMES = ("attn", "attention")
Hook = tuple[nn.Module, Edited]


@dataclass(frozen=True)
class DownProjection:
    """One layer's down projection and the up projection before it. `dtype`: that of its inputs, the neurons.

    `gate` is the projection that gates the neurons, which may be fused with `up`; None where there is no gate.
    """

    module: nn.Module
    up: nn.Module
    dtype: torch.dtype
    gate: nn.Module | None = None
    parts: ClassVar[tuple[nn.Module, ...]] = ()  # modules inside, whose inputs are read as well

    def inputs_of(self, inputs: tuple[Any, ...], _: Mapping[nn.Module, Passed]) -> tuple[Any, ...]:
        """What `neurons` and `expected` read, of the inputs of `module` and what went through its `parts`."""
        return inputs

    @property
    def weight(self) -> Tensor:
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def width(self) -> int:
        shape = shape_of(self.module)
        assert shape is not None
        return shape[0]

    @property
    def is_plain(self) -> bool:
        """Whether it computes with plain numbers."""
        return not is_quantised(self.module)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(experts, neurons of each, neurons outside of them)."""
        return 0, 0, self.width

    def down_rows(self) -> Tensor:
        """W_down with a row for each neuron: [neuron, hidden]."""
        return by_input(self.module, self.dtype)

    def up_rows(self) -> Tensor:
        """W_up with a row for each neuron: [neuron, hidden]."""
        return by_input(self.up, self.dtype).T[-self.width :]  # a fused gate_up projection holds the gate rows first

    def gate_rows(self) -> Tensor | None:
        """W_gate with a row for each neuron; None in an FFN without gate."""
        return None if self.gate is None else by_input(self.gate, self.dtype).T[: self.width]

    def column_norms(self) -> Tensor:
        """||W_down[:, j]||_2 of every neuron, [neuron], in float32 or in the weight's precision where that is higher.

        On the CPU in chunks along the hidden axis: one chunk stays in the cache, which is some fifty times faster than
        a norm over a converted copy, and never needs that copy. The weight itself is not touched (`.float()` of a
        float32 tensor is that tensor, so nothing here may work in place).
        """
        precise = torch.promote_types(self.dtype, torch.float32)
        if is_quantised(self.module):
            blocks = read_blocks(self.module, self.dtype)
            return torch.cat([torch.linalg.vector_norm(rows, dim=1, dtype=precise) for rows in blocks])
        weight = whole_weight(self.module)
        hidden_axis = 1 if inputs_first(self.module) else 0
        if weight.is_cuda:
            norms: Tensor = torch.linalg.vector_norm(weight, dim=hidden_axis, dtype=precise)
            return norms
        total = torch.zeros(self.width, dtype=precise, device=weight.device)
        for chunk in weight.split(64, dim=hidden_axis):
            total += chunk.to(precise).square().sum(dim=hidden_axis)
        return total.sqrt()

    def neurons(self, inputs: tuple[Any, ...], rows: int, last: bool = False) -> Tensor:
        """z [row, token, neuron] from the module's inputs; `last`: of the last token alone."""
        return by_row(inputs[0], rows)[:, -last:]

    def expected(self, inputs: tuple[Any, ...]) -> Tensor:
        """h = W_down z + b for the module's inputs, by the rows that were found."""
        h: Tensor = inputs[0] @ self.down_rows()
        bias = bias_of(self.module, self.dtype)
        return h if bias is None else h + bias

    def edited_by(self, edit: LayerEdit) -> list[Hook]:
        """The modules whose inputs are edited, and how."""
        placed: list[LayerEdit] = []

        def edited(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            z = by_row(inputs[0], len(edit.factors))
            placed[:] = placed or [edit.to(z)]  # the layers of a model may lie on several devices
            places, moved = placed[0].indices, placed[0].change(z[..., placed[0].indices])
            z = z.index_copy(-1, places, moved) if torch.is_grad_enabled() else z.index_copy_(-1, places, moved)
            return (z.view_as(inputs[0]), *inputs[1:])

        return [(self.module, edited)]

    @property
    def derivatives(self) -> list[tuple[nn.Module, Derivative]]:
        """The module whose first input is z, and what its gradient says of each neuron's gain."""

        def derivative(inputs: tuple[Any, ...], gradient: Tensor, rows: int) -> Tensor:
            return by_row(inputs[0] * gradient, rows).sum(1, dtype=torch.promote_types(self.dtype, torch.float32))

        return [(self.module, derivative)]


Projection = DownProjection | RoutedProjection | SharedProjection


@dataclass(frozen=True)
class FFN:
    """The down projections of a text decoder, by layer, and the neuron space they span."""

    layers: tuple[Projection, ...]
    decoder: nn.Module
    blocks: tuple[nn.Module, ...]  # the decoder layers that they lie in

    @property
    def space(self) -> NeuronSpace:
        shapes = tuple(layer.shape for layer in self.layers)
        experts, each, others = shapes[0]
        if len(set(shapes)) == 1 and not (experts and others):
            return NeuronSpace(n_layers=len(shapes), width=experts * each + others, experts=max(1, experts))
        width = max(layer.width for layer in self.layers)
        most = max(1, *(experts for experts, _, _ in shapes))
        return NeuronSpace(n_layers=len(shapes), width=width, experts=most, layers=shapes)


def text_decoder(model: nn.Module) -> nn.Module:
    """The decoder stack that reads token ids, without the LM head and without any vision tower."""
    find = getattr(model, "get_decoder", None)
    decoder = find() if callable(find) else None
    if not isinstance(decoder, nn.Module):
        raise UserError(f"{type(model).__name__} has no text decoder (get_decoder): only causal LMs are supported")
    return decoder


def find_ffn(model: Any) -> FFN:
    """Finds the down projection of every layer; `UserError` says what prevents it."""
    decoder = text_decoder(model)
    config = model.config.get_text_config()
    layers = _layer_list(decoder, config.num_hidden_layers)
    found = tuple(_projection(model, layer, config.hidden_size, n) for n, layer in enumerate(layers))
    return FFN(found, decoder, tuple(layers))


def _layer_list(decoder: nn.Module, n_layers: int) -> Sequence[nn.Module]:
    for module in decoder.children():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    for module in decoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    raise UserError(f"no list of {n_layers} layers in {type(decoder).__name__}: this architecture is not supported")


def _projection(model: Any, layer: nn.Module, hidden: int, number: int) -> Projection:
    """The projection of the layer, outside attention, that comes back to the hidden size, and the one that feeds it."""
    down: dict[str, nn.Module] = {}
    up: dict[str, nn.Module] = {}
    experts: dict[str, nn.Module] = {}
    for name, module in layer.named_modules():
        if any(mark in part for part in name.lower().split(".") for mark in ATTENTION_NAMES):
            continue
        if type(module).__name__.endswith("Experts"):
            experts[name] = module
        _refuse_adapters(module, number)
        shape = shape_of(module)
        if shape is None or (shape[0] == shape[1] and not _last(name).startswith(("down", "up", "gate"))):
            continue
        if shape[1] == hidden and (shape[0] != hidden or _last(name).startswith("down")):
            down[name] = module
        elif shape[0] == hidden:
            up[name] = module
    if experts:
        return _mixture(model, layer, experts, down, up, number)
    if len(down) > 1:  # beside the FFN there may be smaller detours
        down = {name: module for name, module in down.items() if _last(name).startswith("down")} or down
    if len(down) != 1 or not up:
        raise UserError(
            f"layer {number} ({type(layer).__name__}) has {len(down)} down projections to hidden size {hidden} "
            f"and {len(up)} up projections: its FFN is not one gated or plain MLP, which is all that is supported"
        )
    return _dense(model, next(iter(down.items())), up)


def _dense(model: Any, down: tuple[str, nn.Module], up: Mapping[str, nn.Module]) -> DownProjection:
    """The down projection with the projections that feed it: those beside it, where there are any."""
    name, module = down
    beside = {n: m for n, m in up.items() if n.rpartition(".")[0] == name.rpartition(".")[0]} or dict(up)
    named = [m for n, m in beside.items() if "up" in _last(n)]
    last = (named or list(beside.values()))[-1]
    fused = (shape_of(last) or (0, 0))[1] == 2 * (shape_of(module) or (0, 0))[0]
    gates = [last] if fused else [m for m in beside.values() if m is not last and shape_of(m) == shape_of(last)]
    return DownProjection(module, last, model.dtype, gates[0] if gates else None)


def _mixture(
    model: Any,
    layer: nn.Module,
    experts: Mapping[str, nn.Module],
    down: Mapping[str, nn.Module],
    up: Mapping[str, nn.Module],
    number: int,
) -> Projection:
    """The experts of the layer, with the FFN that every token goes through in the same block, if there is one."""
    _check_experts(list(experts.values()), number)
    ((name, found),) = experts.items()
    attach(model, found)
    routed = RoutedProjection(found, model.dtype)
    if not down:
        return routed
    block = name.rpartition(".")[0]
    if len(down) > 1 or not block or not all(other.startswith(f"{block}.") for other in down):
        raise UserError(
            f"layer {number} adds up experts ({type(found).__name__}) and {', '.join(down)} in a way that is not "
            "supported: their sum is the output of no single block"
        )
    ((other, module),) = down.items()
    gates = [m for n, m in up.items() if n.startswith(f"{block}.") and (shape_of(m) or (0, 0))[1] == 1]
    shared = _dense(model, (other, module), up)
    return SharedProjection(layer.get_submodule(block), routed, shared, gates[0] if gates else None)


def _last(name: str) -> str:
    return name.rpartition(".")[2].lower()


def _check_experts(experts: Sequence[nn.Module], number: int) -> None:
    kind = type(experts[0]).__name__
    if len(experts) > 1 or not supports(experts[0]):
        raise UserError(
            f"layer {number} is a mixture of experts whose neurons cannot be reached ({kind}): load it with plain "
            "weights (of a quantised checkpoint: dequantised), or use another model"
        )


def _refuse_adapters(module: nn.Module, number: int) -> None:
    if type(module).__module__.startswith("peft."):
        raise UserError(
            f"layer {number} carries an adapter that is not merged ({type(module).__name__}): its neurons have no "
            "column of their own; merge it first (peft: merge_and_unload, then save_pretrained)"
        )
