"""One token for every row: drawn as its seed and the decoding say, and what the model itself thought of it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from transformers.generation.logits_process import TopPLogitsWarper

from hneuro.responses.decoding import Decoding
from hneuro.responses.noise import gumbel_at


class Drawn(NamedTuple):
    """The next token of each row [row], its log-probability and the entropy at temperature 1, in nats."""

    tokens: Tensor
    logprobs: Tensor
    entropies: Tensor


def draw(logits: Tensor, seeds: Tensor, step: int, decoding: Decoding) -> Drawn:
    """The next tokens from float32 logits [row, token], whose int64 seeds [row] name the draws of all their steps."""
    plain = torch.log_softmax(logits, dim=-1)
    if decoding.temperature > 0:
        scores, candidates = _candidates(logits / decoding.temperature, decoding.top_k)
        if decoding.top_p < 1:
            scores = TopPLogitsWarper(decoding.top_p)(candidates, scores)
        best = (scores + gumbel_at(seeds, step, candidates)).argmax(dim=-1, keepdim=True)
        taken = candidates.gather(1, best)
    else:
        taken = logits.argmax(dim=-1, keepdim=True)
    entropies = -(plain.exp() * plain.clamp_min(-100)).sum(dim=-1)
    return Drawn(taken[:, 0], plain.gather(1, taken)[:, 0], entropies)


def _candidates(scores: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
    """The `top_k` best tokens of each row, and those that equal the last of them, as (scores, tokens) [row, candidate].

    Everything behind them is done for these few alone: sorting, and noise for, a whole vocabulary costs more than the
    model does.
    """
    if not 0 < top_k < scores.shape[-1]:
        return scores, torch.arange(scores.shape[-1], device=scores.device).expand_as(scores)
    found, tokens = scores.topk(top_k)
    last = found[:, -1:]
    most = int((scores >= last).sum(dim=-1).max())
    if most > top_k:
        found, tokens = scores.topk(most)
        found = found.masked_fill(found < last, -torch.inf)
    return found, tokens
