"""What runs inside the workers of vLLM: neurons are scaled where they enter the down projections.

vLLM mixes `NeuronScale` into its worker (`worker_extension_cls`). Its methods are called by name with plain values, so
that no code travels, and the first one says what prevents it: an exception in a worker can end the engine. Passes must
not be compiled (`enforce_eager`): those call no hook.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hneuro.models.ffn import ATTENTION_NAMES
from hneuro.models.hooks import scale_for_good


class Unreachable(ValueError):  # noqa: N818
    """Why the neurons of a model cannot be reached."""


class NeuronScale:
    """One worker's share of the scaling. vLLM wants names that its own worker does not have."""

    hneuro_maps: dict[int, nn.Module]
    hneuro_scaled: dict[int, tuple[Tensor, float]]  # layer -> which of the inputs that lie here, and alpha

    def hneuro_reach(self, n_layers: int, width: int) -> str:
        """Gets hold of the neurons, and scales none; or why they cannot be reached, "" where they can."""
        worker: Any = self  # the worker that this is mixed into
        try:
            self.hneuro_maps = down_projections(worker.get_model(), n_layers, width)
        except Unreachable as fault:
            return str(fault)
        self.hneuro_scaled = {}
        scale_for_good(self.hneuro_maps, self.hneuro_scaled)
        return ""

    def hneuro_scale(self, width: int, columns: Sequence[tuple[int, Sequence[int]]], alpha: float) -> int:
        """From now on scales the neurons `(layer, indices)` by alpha, and no others; says how many of them lie here."""
        self.hneuro_scaled.clear()
        start, end = own_share(width)
        for layer, indices in columns:
            if layer not in self.hneuro_maps:
                continue  # of another worker of the pipeline, which counts it
            own = [index - start for index in indices if start <= index < end]
            device = next(self.hneuro_maps[layer].parameters()).device
            self.hneuro_scaled[layer] = torch.tensor(own, dtype=torch.int64, device=device), alpha
        return sum(len(own) for own, _ in self.hneuro_scaled.values())


def own_share(width: int) -> tuple[int, int]:
    """Which neurons of a layer lie on this worker, where vLLM spreads it over several: [start, end)."""
    from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size

    size = width // get_tensor_model_parallel_world_size()
    start = get_tensor_model_parallel_rank() * size
    return start, start + size


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
            raise Unreachable(f"layer {number} has fused experts ({type(module).__name__}), whose inputs no hook sees")
        sizes = getattr(module, "input_size", None), getattr(module, "output_size", None)
        if sizes[0] == width and sizes[1] != width:
            found.append(module)
    return found
