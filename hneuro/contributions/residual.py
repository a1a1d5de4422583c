"""The mean of the residual stream over some positions, after every layer: what any linear probe could read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hneuro.models.load import Loaded
from hneuro.responses.generate import batches

FEWER = 4  # times fewer tokens than a batch of contributions: the states of all layers are held at once


@torch.inference_mode()
def residual(
    loaded: Loaded, sequences: Sequence[Sequence[int]], weights: Sequence[NDArray[np.float32]], token_budget: int
) -> NDArray[np.float32]:
    """[response, layer, hidden] from the ids of prompt + response, pooled by `weights[n]` [token] of sequence n.

    Padded on the right, where causal attention hides it without a mask. The last layer is read after the final norm.
    """
    layers = len(loaded.ffn.layers)
    found: dict[int, NDArray[np.float32]] = {}
    for rows in batches([len(s) for s in sequences], max(1, token_budget // FEWER)):
        longest = max(len(sequences[n]) for n in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)
        pooling = torch.zeros(len(rows), longest)
        for row, n in enumerate(rows):
            ids[row, : len(sequences[n])] = torch.tensor(sequences[n])
            pooling[row, : len(sequences[n])] = torch.from_numpy(weights[n])
        said = loaded.ffn.decoder(input_ids=ids.to(loaded.device), use_cache=False, output_hidden_states=True)
        pooled = []
        for states in said.hidden_states[-layers:]:
            share = pooling.to(states.device)
            # Positions of no weight may be anything, even no number.
            counted = states.float().masked_fill(share[..., None] == 0, 0.0)
            pooled.append(torch.einsum("rt,rth->rh", share, counted).cpu())
        for row, n in enumerate(rows):
            found[n] = torch.stack([layer[row] for layer in pooled]).numpy()
    return np.stack([found[n] for n in range(len(sequences))])
