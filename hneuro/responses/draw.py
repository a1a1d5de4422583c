"""One token for every row: drawn as its seed and the decoding say, and what the model itself thought of it.

Sampling from softmax(s) is argmax(s + g) with independent standard Gumbel noise g (Gumbel, 1954). Drawing g from a
counter instead of a generator makes each row's randomness its own: equal (seed, step) draw the same on any device, in
any batch, after any kill.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import torch
from torch import Tensor
from transformers.generation.logits_process import TopPLogitsWarper

from hneuro.responses.decoding import Decoding


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


def row_seed(name: str) -> int:
    """The int64 seed of the draw with this name: equal names draw equal noise."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little", signed=True)


def _mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 (Steele et al., 2014) on int64, whose products wrap as unsigned ones do."""
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ _logical_shift(x, shift)) * factor
    return x ^ _logical_shift(x, 31)


def _logical_shift(x: Tensor, by: int) -> Tensor:
    return (x >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """The int64 with the same lowest 64 bits."""
    return (number + (1 << 63)) % (1 << 64) - (1 << 63)


def gumbel(row_seeds: Tensor, step: int, size: int) -> Tensor:
    """Standard Gumbel noise, float32 [row, size], for int64 seeds [row] at a decoding step."""
    columns = torch.arange(size, device=row_seeds.device, dtype=torch.int64)
    return gumbel_at(row_seeds, step, columns.expand(len(row_seeds), size))


def gumbel_at(row_seeds: Tensor, step: int, columns: Tensor) -> Tensor:
    """The noise at these columns, int64 [row, column]: what `gumbel` has there."""
    state = _mix(_mix(row_seeds + _signed(step * 0x632BE59BD9B4E019))[:, None] + columns * -7046029254386353131)
    # 23 bits: of 24, float32 would round the half away, and a draw of exactly 1 makes the noise infinite.
    uniform = (_logical_shift(state, 41).to(torch.float32) + 0.5) / (1 << 23)
    return -torch.log(-torch.log(uniform))
