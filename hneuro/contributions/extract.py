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
from torch.nn.utils.rnn import pad_sequence

from hneuro.contributions.cett import pooled_magnitude
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.responses.generate import batches

FEWER = 4  # times fewer tokens in a batch of residual streams: the states of all layers are held at once


class _Enough(Exception):  # noqa: N818
    """Ends a forward pass when the last layer has been read: nobody wants its final norm."""


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
        pooling = pad_sequence([torch.from_numpy(weights[n].T) for n in rows], batch_first=True)
        ids = padded([sequences[n] for n in rows], loaded.device)
        return ids, pooling.transpose(1, 2).contiguous().to(loaded.device)

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
        part = pooled_magnitude(z, h, pooling.to(z.device), clean)
        pooled.add(part.mul_(loaded.column_norms[layer]))
        if layer == ffn.space.n_layers - 1:
            raise _Enough

    with suppress(_Enough), observe(ffn, len(ids), read):
        ffn.decoder(input_ids=ids, use_cache=False)
    return pooled


def padded(sequences: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """ids [row, token], padded on the right, where causal attention hides it without a mask."""
    return pad_sequence([torch.tensor(s, dtype=torch.int64) for s in sequences], batch_first=True).to(device)


@torch.inference_mode()
def residual(
    loaded: Loaded, sequences: Sequence[Sequence[int]], weights: Sequence[NDArray[np.float32]], token_budget: int
) -> NDArray[np.float32]:
    """The residual stream after every layer, pooled by `weights[n]` [token] of sequence n: [response, layer, hidden].

    What any linear probe could read. `sequences` are the ids of prompt + response; the last layer is read after the
    final norm.
    """
    found: dict[int, NDArray[np.float32]] = {}
    for rows in batches([len(s) for s in sequences], max(1, token_budget // FEWER)):
        pooling = pad_sequence([torch.from_numpy(weights[n]) for n in rows], batch_first=True)
        ids = padded([sequences[n] for n in rows], loaded.device)
        said = loaded.ffn.decoder(input_ids=ids, use_cache=False, output_hidden_states=True)
        pooled = []
        for states in said.hidden_states[-len(loaded.ffn.layers) :]:
            share = pooling.to(states.device)
            # Positions of no weight may be anything, even no number.
            counted = states.float().masked_fill(share[..., None] == 0, 0.0)
            pooled.append(torch.einsum("rt,rth->rh", share, counted).cpu())
        found.update(zip(rows, torch.stack(pooled, dim=1).numpy(), strict=True))
    return np.stack([found[n] for n in range(len(sequences))])
