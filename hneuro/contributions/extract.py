"""The batched pass: pooled CETT of every neuron, region and response, at the price of a forward pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hneuro.contributions.cett import pooled_magnitude
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.models.parallel import together
from hneuro.models.weights import gathered
from hneuro.responses.generate import batches


class _Enough(Exception):  # noqa: N818
    """Ends a forward pass when the last layer has been read: nobody wants its final norm."""


@together
@torch.inference_mode()
def extract(
    loaded: Loaded,
    sequences: Sequence[Sequence[int]],
    weights: Sequence[NDArray[np.float32]],
    token_budget: int,
    only: Sequence[int] | None = None,
) -> NDArray[np.float32]:
    """CETT pooled over regions: [response, region, neuron] float32.

    `sequences` are the ids of prompt + response, `weights[n]` is [region, token] for sequence n, all with the same
    number of regions. Sequences of similar length share a batch, padded on the right, where causal attention hides the
    padding without a mask. They go through the decoder without LM head, cache or final norm. The result of a row does
    not depend on its batch beyond the rounding of the model's own matrix products. `only`: these flat neurons, in this
    order, instead of all.
    """
    size = loaded.ffn.space.size if only is None else len(only)
    values = np.empty((len(sequences), weights[0].shape[0] if weights else 0, size), dtype=np.float32)
    under_way: deque[tuple[list[int], _Pooled]] = deque()

    def inputs(rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        return _padded([sequences[n] for n in rows], [weights[n] for n in rows], loaded.device)

    def finish() -> None:
        rows, pooled = under_way.popleft()
        if not pooled.finite():  # most likely at positions of no region, which may be anything
            pooled = _pass(loaded, *inputs(rows), clean=True)
        pooled.write(values, rows, only)

    for rows in batches([len(s) for s in sequences], token_budget):
        under_way.append((rows, _pass(loaded, *inputs(rows))))
        # While a GPU works on a batch, what the one before it has left is sorted into the result.
        while len(under_way) > (1 if loaded.device.type == "cuda" else 0):
            finish()
    while under_way:
        finish()
    return values


@dataclass
class _Pooled:
    """What a pass leaves in the host's memory, layer by layer; on a GPU, as soon as it gets there."""

    layers: list[Tensor] = field(default_factory=list)  # [row, region, neuron] each
    sums: list[Tensor] = field(default_factory=list)
    arrivals: list[torch.cuda.Event] = field(default_factory=list)

    def add(self, part: Tensor) -> None:
        # Pinned memory, and no waiting: a copy that Python waits for would stop the GPU at every layer.
        self.layers.append(part.to("cpu", non_blocking=part.is_cuda))
        self.sums.append(part.sum().to("cpu", non_blocking=part.is_cuda))
        if part.is_cuda:
            self.arrivals.append(torch.cuda.current_stream(part.device).record_event())

    def finite(self) -> bool:
        """Whether everything is a number. Waits until it is there."""
        self._wait()
        return bool(torch.stack(self.sums).isfinite().all())

    def write(self, values: NDArray[np.float32], rows: Sequence[int], only: Sequence[int] | None) -> None:
        """Into `values` [response, region, neuron]. Waits until it is there."""
        self._wait()
        if only is not None:
            values[rows] = torch.cat(self.layers, dim=-1)[..., list(only)].numpy()
            return
        start = 0
        for part in self.layers:
            values[rows, :, start : start + part.shape[-1]] = part.numpy()
            start += part.shape[-1]

    def _wait(self) -> None:
        for arrival in self.arrivals:
            arrival.synchronize()


def _pass(loaded: Loaded, ids: Tensor, pooling: Tensor, clean: bool = False) -> _Pooled:
    """CETT of a batch: ids [row, token], pooling [row, region, token]."""
    ffn, pooled = loaded.ffn, _Pooled()

    def read(layer: int, z: Tensor, h: Tensor) -> None:
        part = gathered(pooled_magnitude(z, h, pooling.to(z.device), clean), ffn.space.width_of(layer))
        pooled.add(part.mul_(loaded.column_norms[layer]))
        if layer == ffn.space.n_layers - 1:
            raise _Enough

    with suppress(_Enough), observe(ffn, len(ids), read):
        ffn.decoder(input_ids=ids, use_cache=False)
    return pooled


def _padded(
    sequences: Sequence[Sequence[int]], weights: Sequence[NDArray[np.float32]], device: torch.device
) -> tuple[Tensor, Tensor]:
    """ids [row, token] and pooling [row, region, token], padded on the right to the longest sequence."""
    longest = max(len(s) for s in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.int64)
    pooling = torch.zeros(len(sequences), weights[0].shape[0], longest)
    for row, (sequence, weight) in enumerate(zip(sequences, weights, strict=True)):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        pooling[row, :, : len(sequence)] = torch.from_numpy(weight)
    return ids.to(device), pooling.to(device)
