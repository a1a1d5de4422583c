"""How well the model under an intervention predicts passages of text: what perplexity is made from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hneuro.causal.grid import Cell
from hneuro.models.edits import edits
from hneuro.models.hooks import intervene
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.responses.generate import batches

LOGITS = 1 << 28  # at a time


def losses(
    model: LanguageModel, passages: Sequence[str], cells: Sequence[Cell], token_budget: int, longest: int = 512
) -> NDArray[np.float32]:
    """[cell, passage, 2]: the sum of -log P over a passage's tokens but the first, in nats, and their number.

    Passages are cut at `longest` tokens.
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
    longest = max(len(s) for s in sequences)
    ids = torch.zeros(len(sequences), longest, dtype=torch.int64)
    asked = torch.zeros(len(sequences), longest - 1, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence)
        asked[row, : len(sequence) - 1] = True
    ids, asked = ids.to(loaded.device), asked.to(loaded.device)
    changes = edits(loaded.ffn.space, [cell.treatment for cell in cells], loaded.device, loaded.dtype)
    with intervene(loaded.ffn, changes):
        logits = loaded.model(input_ids=ids, use_cache=False).logits[:, :-1].to(ids.device)
    return [
        float(((one.float().logsumexp(-1) - one.float().gather(-1, own[1:, None])[:, 0]) * here).sum())
        for one, own, here in zip(logits, ids, asked, strict=True)
    ]
