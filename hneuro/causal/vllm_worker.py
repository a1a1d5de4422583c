"""What runs inside the workers of vLLM: columns of the down projections are scaled, and get their bits back.

vLLM mixes `ColumnEdits` into its worker (`worker_extension_cls`). Its methods are called by name with plain values, so
that no code travels, and the first one says what prevents it: an exception in a worker can end the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hneuro.models.ffn import ATTENTION_NAMES

PLAIN = (torch.float32, torch.bfloat16, torch.float16)


class Unreachable(ValueError):  # noqa: N818
    """Why the neurons of a model cannot be edited."""


class ColumnEdits:
    """One worker's share of the edit. vLLM wants names that its own worker does not have."""

    hneuro_saved: tuple[tuple[Tensor, Tensor, Tensor], ...] = ()  # a weight, some columns, and what stood there

    def hneuro_check(self, n_layers: int, width: int) -> str:
        """Why the neurons cannot be edited here, "" where they can."""
        try:
            self._hneuro_weights(n_layers, width)
        except Unreachable as fault:
            return str(fault)
        return ""

    def hneuro_edit(self, n_layers: int, width: int, columns: Sequence[tuple[int, Sequence[int]]], alpha: float) -> int:
        """Scales the columns `(layer, indices)` of those that lie here by alpha, and says how many these are.

        An edit that nobody took back is taken back first.
        """
        from vllm.distributed import get_tensor_model_parallel_rank

        self.hneuro_restore()
        weights = self._hneuro_weights(n_layers, width)
        edited = 0
        with torch.inference_mode():
            for layer, indices in columns:
                if layer not in weights:
                    continue  # of another worker of the pipeline, which counts it
                weight = weights[layer]
                start = get_tensor_model_parallel_rank() * weight.shape[1]
                own = [index - start for index in indices if 0 <= index - start < weight.shape[1]]
                places = torch.tensor(own, dtype=torch.int64, device=weight.device)
                before = weight[:, places]
                self.hneuro_saved += ((weight, places, before.cpu()),)
                weight[:, places] = before * alpha
                edited += len(own)
        return edited

    def hneuro_restore(self) -> None:
        """Gives every edited column its bits back."""
        with torch.inference_mode():
            for weight, places, before in self.hneuro_saved:
                weight[:, places] = before.to(weight.device)
        self.hneuro_saved = ()

    def _hneuro_weights(self, n_layers: int, width: int) -> dict[int, Tensor]:
        worker: Any = self  # the worker that this is mixed into
        modules = down_projections(worker.get_model(), n_layers, width)
        return {layer: _plain_weight(module, width, layer) for layer, module in modules.items()}


def down_projections(model: nn.Module, n_layers: int, width: int) -> dict[int, nn.Module]:
    """The down projection of each layer that lies here; `Unreachable` says what prevents it.

    Found by structure, as `hneuro.models.ffn` does it: in the one stack of n_layers layers, outside attention, the one
    linear map of a layer that reads `width` inputs. Layers of other workers of a pipeline have no parameters.
    """
    stacks = [m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == n_layers]
    found = []
    for stack in stacks:
        here = {n: layer for n, layer in enumerate(stack) if next(layer.parameters(), None) is not None}
        down = {n: _down_maps(layer, width, n) for n, layer in here.items()}
        if any(down.values()):
            found.append(down)
    if len(found) != 1:
        raise Unreachable(f"{len(found)} of its stacks of {n_layers} layers have down projections of {width} neurons")
    for n, maps in found[0].items():
        if len(maps) != 1:
            raise Unreachable(f"layer {n} has {len(maps)} down projections of {width} neurons")
    return {n: maps[0] for n, maps in found[0].items()}


def _down_maps(layer: nn.Module, width: int, number: int) -> list[nn.Module]:
    found = []
    for name, module in layer.named_modules():
        if any(mark in part for part in name.lower().split(".") for mark in ATTENTION_NAMES):
            continue
        if hasattr(module, "w2_weight"):
            raise Unreachable(f"layer {number} has fused experts ({type(module).__name__}), whose weights are repacked")
        sizes = getattr(module, "input_size", None), getattr(module, "output_size", None)
        if sizes[0] == width and sizes[1] != width:
            found.append(module)
    return found


def _plain_weight(module: nn.Module, width: int, number: int) -> Tensor:
    from vllm.distributed import get_tensor_model_parallel_world_size

    weight, kind = getattr(module, "weight", None), type(module).__name__
    if not isinstance(weight, Tensor):
        raise Unreachable(f"the down projection of layer {number} ({kind}) has no plain weight: it is quantised")
    if weight.dtype not in PLAIN:
        raise Unreachable(f"the weight of layer {number} ({kind}) is stored as {weight.dtype}: it is quantised")
    shape = [module.output_size, width // get_tensor_model_parallel_world_size()]
    if list(weight.shape) != shape:
        raise Unreachable(
            f"the weight of layer {number} ({kind}) is {list(weight.shape)} and not {shape}: it is repacked, or lies "
            "on every device"
        )
    return weight.data
