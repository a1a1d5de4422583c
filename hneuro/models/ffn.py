"""Where the FFN neurons of a decoder are: the down projection of every layer, found by structure and then proven.

A neuron is one input of a down projection h = W_down z (+ bias). Finding them by name alone goes wrong silently (vision
towers have down projections too, expert weights hide from it), so what is found is checked by a small forward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hneuro.models.weights import by_input, inputs_first, is_quantised, read_blocks, shape_of, whole_weight
from hneuro.records import NeuronSpace, UserError

ATTENTION_NAMES = ("attn", "attention")


@dataclass(frozen=True)
class DownProjection:
    """One layer's down projection and the up projection before it. `dtype`: that of its inputs, the neurons."""

    module: nn.Module
    up: nn.Module
    dtype: torch.dtype

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

    def down_rows(self) -> Tensor:
        """W_down with a row for each neuron: [neuron, hidden]."""
        return by_input(self.module, self.dtype)

    def up_rows(self) -> Tensor:
        """W_up with a row for each neuron: [neuron, hidden]."""
        return by_input(self.up, self.dtype).T[-self.width :]  # a fused gate_up projection holds the gate rows first

    def column_norms(self) -> Tensor:
        """||W_down[:, j]||_2 of every neuron, [neuron], in float32 or in the weight's precision where that is higher.

        In chunks along the hidden axis: one chunk stays in the cache, which is some fifty times faster than a norm over
        a converted copy, and never needs that copy. The weight itself is not touched (`.float()` of a float32 tensor
        is that tensor, so nothing here may work in place).
        """
        precise = torch.promote_types(self.dtype, torch.float32)
        if is_quantised(self.module):
            blocks = read_blocks(self.module, self.dtype)
            return torch.cat([torch.linalg.vector_norm(rows, dim=1, dtype=precise) for rows in blocks])
        weight = whole_weight(self.module)
        hidden_axis = 1 if inputs_first(self.module) else 0
        total = torch.zeros(self.width, dtype=precise, device=weight.device)
        for chunk in weight.split(64, dim=hidden_axis):
            total += chunk.to(precise).square().sum(dim=hidden_axis)
        return total.sqrt()


@dataclass(frozen=True)
class FFN:
    """The down projections of a text decoder, by layer, and the neuron space they span."""

    layers: tuple[DownProjection, ...]
    decoder: nn.Module

    @property
    def space(self) -> NeuronSpace:
        return NeuronSpace(n_layers=len(self.layers), width=self.layers[0].width)


def text_decoder(model: nn.Module) -> nn.Module:
    """The decoder stack that reads token ids, without the LM head and without any vision tower."""
    find = getattr(model, "get_decoder", None)
    decoder = find() if callable(find) else None
    if not isinstance(decoder, nn.Module):
        raise UserError(f"{type(model).__name__} has no text decoder (get_decoder): only causal LMs are supported")
    return decoder


def find_ffn(model: Any) -> FFN:
    """Finds the down projection of every layer; `UserError` says what stands in the way."""
    decoder = text_decoder(model)
    config = model.config.get_text_config()
    layers = _layer_list(decoder, config.num_hidden_layers)
    found = tuple(_down_projection(layer, config.hidden_size, n, model.dtype) for n, layer in enumerate(layers))
    widths = {projection.width for projection in found}
    if len(widths) != 1:
        raise UserError(
            f"the layers of {type(model).__name__} have different FFN widths {sorted(widths)}: not supported"
        )
    return FFN(found, decoder)


def _layer_list(decoder: nn.Module, n_layers: int) -> Sequence[nn.Module]:
    for module in decoder.children():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    for module in decoder.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return list(module)
    raise UserError(f"no list of {n_layers} layers in {type(decoder).__name__}: this architecture is not supported")


def _down_projection(layer: nn.Module, hidden: int, number: int, dtype: torch.dtype) -> DownProjection:
    """The projection of the layer, outside attention, that comes back to the hidden size, and the one that feeds it."""
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for name, module in layer.named_modules():
        if any(mark in part for part in name.lower().split(".") for mark in ATTENTION_NAMES):
            continue
        _refuse_experts(module, number)
        _refuse_adapters(module, number)
        shape = shape_of(module)
        if shape is None or shape[0] == shape[1]:
            continue
        if shape[1] == hidden:
            down.append(module)
        elif shape[0] == hidden:
            up.append(module)
    if len(down) != 1 or not up:
        raise UserError(
            f"layer {number} ({type(layer).__name__}) has {len(down)} down projections to hidden size {hidden} "
            f"and {len(up)} up projections: its FFN is not one gated or plain MLP, which is all that is supported"
        )
    named = [m for n, m in layer.named_modules() if m in up and "up" in n.rpartition(".")[2]]
    return DownProjection(down[0], (named or up)[-1], dtype)


def _refuse_experts(module: nn.Module, number: int) -> None:
    for part, weight in module.named_parameters(recurse=False):
        if weight.ndim == 3 and part.endswith(("down_proj", "w2")):
            raise UserError(
                f"layer {number} is a mixture of experts ({type(module).__name__}): its neurons (layer, expert, index) "
                "are not the inputs of one down projection, which this version does not support; use a dense model"
            )


def _refuse_adapters(module: nn.Module, number: int) -> None:
    if type(module).__module__.startswith("peft."):
        raise UserError(
            f"layer {number} carries an adapter that is not merged ({type(module).__name__}): its neurons have no "
            "column of their own; merge it first (peft: merge_and_unload, then save_pretrained)"
        )
