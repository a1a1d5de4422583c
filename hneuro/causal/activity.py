"""What neurons usually do while an answer is given: what "set to the mean" and "clamp" refer to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.models.parallel import together
from hneuro.models.weights import gathered
from hneuro.responses.generate import batches


@together
@torch.inference_mode()
def activity(
    loaded: Loaded,
    sequences: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    neurons: Sequence[int],
    token_budget: int,
    quantile: float,
) -> NDArray[np.float32]:
    """[2, neuron]: the mean of z, and the quantile of |z|, over `positions[n]` of sequence n, all sequences alike."""
    places = loaded.ffn.space.by_layer(neurons)
    column = {(layer, index): k for layer, indices in places.items() for k, index in enumerate(indices)}
    found: dict[int, list[Tensor]] = {layer: [] for layer in places}
    for rows in batches([len(s) for s in sequences], token_budget):
        longest = max(len(sequences[n]) for n in rows)
        ids = torch.zeros(len(rows), longest, dtype=torch.int64)  # padded on the right, where nothing is read
        for row, n in enumerate(rows):
            ids[row, : len(sequences[n])] = torch.tensor(sequences[n])
        at = torch.tensor([(row, place) for row, n in enumerate(rows) for place in positions[n]]).T

        def read(layer: int, z: Tensor, _: Tensor, at: Tensor = at) -> None:
            if layer in places:
                own = gathered(z[at[0].to(z.device), at[1].to(z.device)], loaded.ffn.space.width_of(layer))
                found[layer].append(own[:, places[layer]].float().cpu())

        with observe(loaded.ffn, len(rows), read):
            loaded.ffn.decoder(input_ids=ids.to(loaded.device), use_cache=False)
    read_of = {layer: torch.cat(parts).numpy() for layer, parts in found.items()}
    values = np.empty((2, len(neurons)), dtype=np.float32)
    for n, neuron in enumerate(neurons):
        layer, index = loaded.ffn.space.locate(neuron)
        own = read_of[layer][:, column[layer, index]]
        values[:, n] = own.mean(), np.quantile(np.abs(own), quantile)
    return values
