"""The workers of the stand-in: each sees its share of the one model, as vLLM lays out its modules."""

from __future__ import annotations

import importlib
from typing import Any

import torch
from torch import Tensor, nn

from . import distributed

# Or what vLLM makes of weights: "fp8", "integers", "fused", "transposed", "packed" (others are computed with).
LAYOUT = "plain"


class Worker:
    def __init__(self, model: nn.Module, rank: int, world_size: int) -> None:
        self.model, self.rank, self.world_size = model, rank, world_size

    def get_model(self) -> nn.Module:
        return self.model

    def call(self, method: str, args: list[Any]) -> Any:
        distributed.rank, distributed.world_size = self.rank, self.world_size
        return getattr(self, method)(*args)


class RowParallelLinear(nn.Module):
    def __init__(self, weight: Tensor, rank: int, world_size: int) -> None:
        super().__init__()
        self.output_size, self.input_size = weight.shape
        share = weight.chunk(world_size, dim=1)[rank]
        if LAYOUT == "fp8":
            share = share.to(torch.float8_e4m3fn)
        elif LAYOUT == "packed":
            share = share.clone()
        elif LAYOUT == "transposed":
            share = share.T
        if LAYOUT == "integers":
            self.qweight = nn.Parameter(share.to(torch.int32), requires_grad=False)
            return
        self.weight = nn.Parameter(share, requires_grad=False)  # the memory that the model computes with


class ColumnParallelLinear(nn.Module):
    def __init__(self, weight: Tensor, rank: int, world_size: int) -> None:
        super().__init__()
        self.output_size, self.input_size = weight.shape
        self.weight = nn.Parameter(weight.chunk(world_size, dim=0)[rank], requires_grad=False)


class FusedMoE(nn.Module):
    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.w2_weight = nn.Parameter(weight[None].clone(), requires_grad=False)


class PPMissingLayer(nn.Identity):
    pass


def workers_of(
    model: Any, tensor_parallel_size: int, pipeline_parallel_size: int, worker_extension_cls: str, **_: Any
) -> list[Any]:
    """One for each device, mixed with the extension as vLLM does it."""
    kind: type[Any] = Worker
    if worker_extension_cls:
        module, _, name = worker_extension_cls.rpartition(".")
        extension = getattr(importlib.import_module(module), name)
        taken = [n for n in dir(extension) if not n.startswith("__") and hasattr(Worker, n)]
        assert not taken, f"Worker already has an attribute {taken}, which conflicts with the worker extension"
        kind = type("Worker", (Worker, extension), {})
    return [
        kind(_share(model, tensor, tensor_parallel_size, stage, pipeline_parallel_size), tensor, tensor_parallel_size)
        for stage in range(pipeline_parallel_size)
        for tensor in range(tensor_parallel_size)
    ]


def _share(model: Any, rank: int, world_size: int, stage: int, stages: int) -> nn.Module:
    def layer(own: Any) -> nn.Module:
        made, made.self_attn, made.mlp = nn.Module(), nn.Module(), nn.Module()
        made.self_attn.o_proj = RowParallelLinear(own.self_attn.o_proj.weight.data, rank, world_size)
        made.mlp.up_proj = ColumnParallelLinear(own.mlp.up_proj.weight.data, rank, world_size)
        down = own.mlp.down_proj.weight.data
        made.mlp.down_proj = FusedMoE(down) if LAYOUT == "fused" else RowParallelLinear(down, rank, world_size)
        return made

    layers = model.model.layers
    of_stage = range(len(layers) * stage // stages, len(layers) * (stage + 1) // stages)
    shared, shared.model = nn.Module(), nn.Module()
    shared.model.layers = nn.ModuleList(
        layer(own) if n in of_stage else PPMissingLayer() for n, own in enumerate(layers)
    )
    return shared
