"""The batched pass: pooled CETT of every neuron, region and response, at the price of a forward pass."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from hneuro.contributions.cett import pooled_magnitude
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.responses.generate import batches
from hneuro.responses.rows import WORTH_SHARING, new_cache, shared_prefix

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
    number of regions. The prefix that all sequences share, such as a system prompt, is read once, as far as no region
    has it. Sequences of similar length share a batch, padded on the right, where causal attention hides the padding
    without a mask. They go through the decoder without LM head or final norm. The result of a row does not depend on
    its batch beyond the rounding of the model's own matrix products. `only`: these flat neurons, in this order, instead
    of all.
    """
    size = loaded.ffn.space.size if only is None else len(only)
    values = np.empty((len(sequences), weights[0].shape[0] if weights else 0, size), dtype=np.float32)
    under_way: deque[tuple[list[int], _Pooled]] = deque()
    prefix = Prefix.of(loaded, sequences, weights)

    def inputs(rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        pooling = pad_sequence([torch.from_numpy(weights[n][:, prefix.length :].T) for n in rows], batch_first=True)
        ids = padded([sequences[n][prefix.length :] for n in rows], loaded.device)
        return ids, pooling.transpose(1, 2).contiguous().to(loaded.device)

    def finish() -> None:
        rows, pooled = under_way.popleft()
        if not pooled.finite():  # most likely at positions of no region, which may be anything
            pooled = _pass(loaded, prefix, *inputs(rows), clean=True)
        pooled.write(values, rows, only)

    for rows in batches([len(s) - prefix.length for s in sequences], token_budget):
        under_way.append((rows, _pass(loaded, prefix, *inputs(rows))))
        # While a GPU works on a batch, what the one before it has left is sorted into the result.
        while len(under_way) > (1 if loaded.device.type == "cuda" else 0):
            finish()
    while under_way:
        finish()
    return values


@dataclass(frozen=True)
class Prefix:
    """The tokens that all sequences begin with and no region has: keys and values [1, attention head, token, size]."""

    config: Any
    length: int = 0
    layers: Sequence[tuple[Tensor, Tensor]] = ()

    @classmethod
    def of(cls, loaded: Loaded, sequences: Sequence[Sequence[int]], weights: Sequence[NDArray[np.float32]]) -> Prefix:
        """None of them where that would save little, or where a layer remembers in a way of its own."""
        config = loaded.model.config
        cache = new_cache(loaded.model)
        if len(sequences) < 2 or not all(type(layer) is DynamicLayer for layer in cache.layers):
            return cls(config)
        read = min(int(np.nonzero(np.atleast_2d(own).any(axis=0))[0].min(initial=own.shape[-1] - 1)) for own in weights)
        length = shared_prefix(sequences, read)
        if length < WORTH_SHARING:
            return cls(config)
        loaded.ffn.decoder(input_ids=padded([sequences[0][:length]], loaded.device), past_key_values=cache)
        return cls(config, length, [(layer.keys, layer.values) for layer in cache.layers])

    def before(self, rows: int) -> dict[str, Any]:
        """What a decoder is given so that the next ids of these rows follow."""
        if not self.length:
            return {"use_cache": False}
        cache = DynamicCache(config=self.config)
        for n, (keys, values) in enumerate(self.layers):
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), n)
        return {"past_key_values": cache, "use_cache": True}


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


def _pass(loaded: Loaded, prefix: Prefix, ids: Tensor, pooling: Tensor, clean: bool = False) -> _Pooled:
    """CETT of a batch after its prefix: ids [row, token], pooling [row, region, token]."""
    ffn, pooled = loaded.ffn, _Pooled()

    def read(layer: int, z: Tensor, h: Tensor) -> None:
        part = pooled_magnitude(z, h, pooling.to(z.device), clean)
        pooled.add(part.mul_(loaded.column_norms[layer]))
        if layer == ffn.space.n_layers - 1:
            raise _Enough

    with suppress(_Enough), observe(ffn, len(ids), read):
        ffn.decoder(input_ids=ids, **prefix.before(len(ids)))
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
    prefix = Prefix.of(loaded, sequences, weights)
    for rows in batches([len(s) - prefix.length for s in sequences], max(1, token_budget // FEWER)):
        pooling = pad_sequence([torch.from_numpy(weights[n][prefix.length :]) for n in rows], batch_first=True)
        ids = padded([sequences[n][prefix.length :] for n in rows], loaded.device)
        said = loaded.ffn.decoder(input_ids=ids, output_hidden_states=True, **prefix.before(len(ids)))
        pooled = []
        for states in said.hidden_states[-len(loaded.ffn.layers) :]:
            states = states[0] if states.dim() == 4 else states  # Gemma 3n has several streams
            share = pooling.to(states.device)
            # Positions of no weight may be anything, even no number.
            counted = states.float().masked_fill(share[..., None] == 0, 0.0)
            pooled.append(torch.einsum("rt,rth->rh", share, counted).cpu())
        found.update(zip(rows, torch.stack(pooled, dim=1).numpy(), strict=True))
    return np.stack([found[n] for n in range(len(sequences))])
