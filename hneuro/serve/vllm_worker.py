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

from hneuro.causal.vllm_worker import Unreachable, down_projections, own_share
from hneuro.contributions.cett import EPSILON
from hneuro.models.hooks import watch_for_good

# By layer: the place of a neuron in the detector, its index in the layer, its weight times the norm of its column.
Columns = Sequence[tuple[int, Sequence[tuple[int, int, float]]]]
Read = tuple[str, int, list[int], list[float]]  # request, position in prompt + answer, and what these neurons add there


@dataclass
class _Share:
    """Those of a layer's neurons that lie on this worker."""

    neurons: list[int]  # their places in the detector
    columns: Tensor
    weight: Tensor


@dataclass
class _Reading:
    """The neurons, what the last pass has shown of them, and what nobody has fetched yet."""

    shares: dict[int, _Share]
    seen: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # |z| [token, neuron], ||h|| [token]
    fresh: list[Read] = field(default_factory=list)

    def note(self, layer: int, z: Tensor, h: Tensor) -> None:
        size = torch.linalg.vector_norm(h, dim=-1, dtype=torch.float32)
        self.seen[layer] = z.index_select(1, self.shares[layer].columns).float().abs(), size

    def at(self, last: Sequence[int]) -> list[list[float]]:
        """What the neurons add to the log-odds at these tokens of the pass [token][neuron], by layer."""
        found = []
        for layer, share in self.shares.items():
            z, size = self.seen[layer]
            rows = torch.tensor(last, device=z.device)
            found.append((z[rows] / (size[rows, None] + EPSILON) * share.weight).cpu())
        added: list[list[float]] = torch.cat(found, dim=1).tolist() if found else [[] for _ in last]
        return added


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
            shares = {n: _share(modules[n], width, own) for n, own in columns if n in modules}
        except Unreachable as fault:
            return str(fault)
        reading = _Reading(shares)
        watch_for_good({layer: modules[layer] for layer in shares}, reading.note)
        runner.execute_model = _noting(runner, reading)
        self.hneuro_reading = reading
        return ""

    def hneuro_read_since(self) -> list[Read]:
        """What has been read since this was called last."""
        assert self.hneuro_reading is not None
        fresh, self.hneuro_reading.fresh = self.hneuro_reading.fresh, []
        return fresh


def _share(module: nn.Module, width: int, neurons: Sequence[tuple[int, int, float]]) -> _Share:
    start, end = own_share(width)
    own = [(place, index - start, weight) for place, index, weight in neurons if start <= index < end]
    device = next(module.parameters()).device
    return _Share(
        neurons=[place for place, _, _ in own],
        columns=torch.tensor([column for _, column, _ in own], dtype=torch.int64, device=device),
        weight=torch.tensor([weight for _, _, weight in own], dtype=torch.float32, device=device),
    )


def _noting(runner: Any, reading: _Reading) -> Callable[..., Any]:
    """`execute_model`, after which it is known which tokens were whose."""
    execute = runner.execute_model

    def noted(scheduled: Any, *args: Any, **kwargs: Any) -> Any:
        reading.seen.clear()
        with torch.inference_mode():
            made = execute(scheduled, *args, **kwargs)
            if not scheduled.num_scheduled_tokens:  # where all that ran was cancelled, nothing passes
                return made
            before = {new.req_id: new.num_computed_tokens for new in scheduled.scheduled_new_reqs}
            running = scheduled.scheduled_cached_reqs
            before |= dict(zip(running.req_ids, running.num_computed_tokens, strict=True))
            counts = scheduled.num_scheduled_tokens
            asked = [request for request in runner.input_batch.req_ids if counts.get(request)]
            ends = torch.tensor([counts[request] for request in asked]).cumsum(0) - 1
            neurons = [place for share in reading.shares.values() for place in share.neurons]
            for request, added in zip(asked, reading.at(ends.tolist()), strict=True):
                reading.fresh.append((request, before[request] + counts[request] - 1, neurons, added))
        return made

    return noted
