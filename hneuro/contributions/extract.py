"""The batched pass: pooled CETT of every neuron, region and response, at the price of a forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

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
    ffn, device = loaded.ffn, loaded.device
    chosen = slice(None) if only is None else list(only)
    size = ffn.space.size if only is None else len(only)
    values = np.empty((len(sequences), weights[0].shape[0] if weights else 0, size), dtype=np.float32)
    for rows in batches([len(s) for s in sequences], token_budget):
        ids, pooling = _padded([sequences[n] for n in rows], [weights[n] for n in rows], device)
        pooled: list[Tensor] = []  # [row, region, neuron] of each layer, where the layer lies

        def read(layer: int, z: Tensor, h: Tensor, pooled: list[Tensor] = pooled, pooling: Tensor = pooling) -> None:
            part = gathered(pooled_magnitude(z, h, pooling.to(z.device)), ffn.space.width)
            pooled.append(part.mul_(loaded.column_norms[layer]))
            if layer == ffn.space.n_layers - 1:
                raise _Enough

        with suppress(_Enough), observe(ffn, len(rows), read):
            ffn.decoder(input_ids=ids, use_cache=False)
        values[rows] = torch.cat([part.cpu() for part in pooled], dim=-1)[..., chosen].numpy()
    return values


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
