"""Forward passes over whole texts: how well a model under intervention predicts them, and how active neurons are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hneuro.causal.grid import Cell
from hneuro.contributions.extract import padded
from hneuro.models.edits import edits
from hneuro.models.hooks import intervene, observe
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.responses.generate import batches

LOGITS = 1 << 28  # at a time


def losses(
    model: LanguageModel, passages: Sequence[str], cells: Sequence[Cell], token_budget: int, longest: int = 512
) -> NDArray[np.float32]:
    """[cell, passage, 2]: the sum of -log P over a passage's tokens but the first, in nats, and their number.

    What perplexity is made from. Passages are cut at `longest` tokens.
    """
    ids = [tuple(model.tokenizer(passage)["input_ids"])[:longest] for passage in passages]
    rows = [(cell, n) for cell in range(len(cells)) for n in range(len(ids))]
    found = np.zeros((len(cells), len(ids), 2), dtype=np.float32)
    # Here, unlike in generation, every position has its logits.
    budget = min(token_budget, max(1, LOGITS // len(model.tokenizer)))
    for batch in batches([len(ids[n]) for _, n in rows], budget):
        chosen = [rows[place] for place in batch]
        sums = _losses(model.loaded, [ids[n] for _, n in chosen], [cells[cell] for cell, _ in chosen])
        for (cell, n), total in zip(chosen, sums, strict=True):
            found[cell, n] = total, len(ids[n]) - 1
    return found


@torch.inference_mode()
def _losses(loaded: Loaded, sequences: Sequence[Sequence[int]], cells: Sequence[Cell]) -> list[float]:
    ids = padded(sequences, loaded.device)
    lengths = torch.tensor([len(s) - 1 for s in sequences], device=loaded.device)
    asked = torch.arange(ids.shape[1] - 1, device=loaded.device) < lengths[:, None]
    changes = edits(loaded.ffn.space, [cell.treatment for cell in cells], loaded.device, loaded.dtype)
    with intervene(loaded.ffn, changes):
        logits = loaded.model(input_ids=ids, use_cache=False).logits[:, :-1].to(ids.device)
    return [
        float(((one.float().logsumexp(-1) - one.float().gather(-1, own[1:, None])[:, 0]) * here).sum())
        for one, own, here in zip(logits, ids, asked, strict=True)
    ]


@torch.inference_mode()
def activity(
    loaded: Loaded,
    sequences: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    neurons: Sequence[int],
    token_budget: int,
) -> NDArray[np.float32]:
    """[neuron]: the mean of z over `positions[n]` of sequence n, all sequences alike: what "set to the mean" means."""
    places = loaded.ffn.space.by_layer(neurons)
    found: dict[int, list[Tensor]] = {layer: [] for layer in places}
    for rows in batches([len(s) for s in sequences], token_budget):
        ids = padded([sequences[n] for n in rows], loaded.device)
        at = torch.tensor([(row, place) for row, n in enumerate(rows) for place in positions[n]]).T

        def read(layer: int, z: Tensor, _: Tensor, at: Tensor = at) -> None:
            if layer in places:
                own = z[at[0].to(z.device), at[1].to(z.device)]
                found[layer].append(own[:, places[layer]].float().cpu())

        with observe(loaded.ffn, len(rows), read):
            loaded.ffn.decoder(input_ids=ids, use_cache=False)
    means = {
        loaded.ffn.space.flat(layer, index): mean
        for layer, indices in places.items()
        for index, mean in zip(indices, torch.cat(found[layer]).numpy().T, strict=True)
    }
    return np.array([means[neuron].mean() for neuron in neurons], dtype=np.float32)
