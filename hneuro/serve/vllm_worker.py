"""What runs inside the workers of vLLM while they answer: the detector's few neurons are read at the last token of
every request.

vLLM mixes `RiskReader` into its worker (`worker_extension_cls`). Passes must not be compiled (`enforce_eager`): those
call no hook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hneuro.causal.vllm_worker import Unreachable, down_projections
from hneuro.contributions.cett import EPSILON
from hneuro.models.hooks import watch_for_good

Columns = Sequence[tuple[int, Sequence[int], Sequence[float]]]  # layer, indices in it, weights times norms of W_down
Read = tuple[str, int, float]  # request, position in prompt + answer, this worker's share of the log-odds


@dataclass
class _Share:
    """Those of a layer's columns that lie on this worker."""

    places: Tensor
    weight: Tensor  # [column]


@dataclass
class _Reading:
    """The columns, what the last pass has shown of them, and what nobody has fetched yet."""

    shares: dict[int, _Share]
    seen: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # |z| [token, column], ||h|| [token]
    told: list[Read] = field(default_factory=list)

    def note(self, layer: int, z: Tensor, h: Tensor) -> None:
        size = torch.linalg.vector_norm(h, dim=-1, dtype=torch.float32)
        self.seen[layer] = z.index_select(1, self.shares[layer].places).float().abs(), size

    def at(self, last: Sequence[int]) -> list[float]:
        """The share of the log-odds at these tokens of the pass."""
        total = torch.zeros(len(last))
        for layer, (z, size) in self.seen.items():
            rows = torch.tensor(last, device=z.device)
            total += ((z[rows] / (size[rows, None] + EPSILON)) @ self.shares[layer].weight).cpu()
        return [float(share) for share in total]


class RiskReader:
    """One worker's share of the detector. vLLM wants names that its own worker does not have."""

    hneuro_reading: _Reading | None = None

    def hneuro_read(self, n_layers: int, width: int, columns: Columns) -> str:
        """Reads these columns from now on; or why they cannot be read here, "" where they can."""
        worker: Any = self
        runner = worker.model_runner
        if not hasattr(getattr(runner, "input_batch", None), "req_ids"):
            return f"vLLM's {type(runner).__name__} does not say which tokens of a pass are whose"
        try:
            modules = down_projections(worker.get_model(), n_layers, width)
            here = [column for column in columns if column[0] in modules]
            shares = {n: _share(modules[n], width, indices, weights) for n, indices, weights in here}
        except Unreachable as fault:
            return str(fault)
        reading = _Reading(shares)
        watch_for_good({layer: modules[layer] for layer in shares}, reading.note)
        runner.execute_model = _telling(runner, reading)
        self.hneuro_reading = reading
        return ""

    def hneuro_risks(self) -> list[Read]:
        """What has been read since this was called last."""
        assert self.hneuro_reading is not None
        told, self.hneuro_reading.told = self.hneuro_reading.told, []
        return told


def _share(module: nn.Module, width: int, indices: Sequence[int], weights: Sequence[float]) -> _Share:
    from vllm.distributed import get_tensor_model_parallel_rank, get_tensor_model_parallel_world_size

    size = width // get_tensor_model_parallel_world_size()
    start, every = get_tensor_model_parallel_rank() * size, zip(indices, weights, strict=True)
    own = [(index - start, weight) for index, weight in every if 0 <= index - start < size]
    device = next(module.parameters()).device
    return _Share(
        places=torch.tensor([place for place, _ in own], dtype=torch.int64, device=device),
        weight=torch.tensor([weight for _, weight in own], dtype=torch.float32, device=device),
    )


def _telling(runner: Any, reading: _Reading) -> Callable[..., Any]:
    """`execute_model`, after which it is known which tokens were whose."""
    execute = runner.execute_model

    def told(scheduled: Any, *args: Any, **kwargs: Any) -> Any:
        reading.seen.clear()
        with torch.inference_mode():
            made = execute(scheduled, *args, **kwargs)
            before = {new.req_id: new.num_computed_tokens for new in scheduled.scheduled_new_reqs}
            running = scheduled.scheduled_cached_reqs
            before |= dict(zip(running.req_ids, running.num_computed_tokens, strict=True))
            counts = scheduled.num_scheduled_tokens
            asked = [request for request in runner.input_batch.req_ids if counts.get(request)]
            ends = torch.tensor([counts[request] for request in asked]).cumsum(0) - 1
            for request, share in zip(asked, reading.at(ends.tolist()), strict=True):
                reading.told.append((request, before[request] + counts[request] - 1, share))
        return made

    return told
