"""Batched generation with the transformers library: one function under sampling, sweeps and capability checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from hneuro.models.hooks import gains, scale
from hneuro.models.load import Loaded
from hneuro.models.parallel import together
from hneuro.responses.decoding import Decoding
from hneuro.responses.noise import gumbel, row_seed


@dataclass(frozen=True)
class Job:
    """One row of a batch. `neurons` are scaled by `alpha` at every position (1 = untouched)."""

    prompt_ids: tuple[int, ...]
    seed: str  # names the draw: equal seeds draw equal noise
    neurons: Sequence[int] = ()
    alpha: float = 1.0
    contest: Contest | None = None  # the odds of its sides are read where the response begins


Contest = tuple[Sequence[int], Sequence[int]]  # two disjoint sets of tokens


@dataclass(frozen=True)
class Generated:
    token_ids: tuple[int, ...]  # up to and with the token that ended the turn
    logprobs: tuple[float, ...]
    entropies: tuple[float, ...]
    truncated: bool
    log_odds: float | None = None  # of the first side of the contest against the second, in nats


class _Draw(LogitsProcessor):
    """Reads the untouched distribution, then leaves the score that greedy search must take to have drawn a sample."""

    def __init__(self, decoding: Decoding, seeds: Tensor, contests: Sequence[Contest | None]) -> None:
        self.decoding = decoding
        self.seeds = seeds
        self.contests = contests
        self.log_odds: list[float | None] = []
        self.logprobs: list[Tensor] = []
        self.entropies: list[Tensor] = []
        self.warpers: list[LogitsProcessor] = []
        if decoding.temperature > 0:
            self.warpers.append(TemperatureLogitsWarper(decoding.temperature))
            if decoding.top_k:
                self.warpers.append(TopKLogitsWarper(decoding.top_k))
            if decoding.top_p < 1:
                self.warpers.append(TopPLogitsWarper(decoding.top_p))

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        plain = torch.log_softmax(scores.float(), dim=-1)
        if not self.logprobs:
            self.log_odds = contest_odds(plain, self.contests)
        if self.warpers:
            for warp in self.warpers:
                scores = warp(input_ids, scores)
            scores = scores.float() + gumbel(self.seeds, len(self.logprobs), scores.shape[-1])
        taken = scores.argmax(dim=-1, keepdim=True)
        self.logprobs.append(plain.gather(1, taken)[:, 0])
        self.entropies.append(-(plain.exp() * plain.clamp_min(-100)).sum(dim=-1))
        return scores


@together
def generate(loaded: Loaded, pad: int, jobs: Sequence[Job], decoding: Decoding) -> list[Generated]:
    """Generates one continuation for each job, in one left-padded batch."""
    device = loaded.device
    longest = max(len(job.prompt_ids) for job in jobs)
    ids = torch.tensor([[pad] * (longest - len(j.prompt_ids)) + list(j.prompt_ids) for j in jobs], device=device)
    mask = torch.tensor([[0] * (longest - len(j.prompt_ids)) + [1] * len(j.prompt_ids) for j in jobs], device=device)
    seeds = torch.tensor([row_seed(job.seed) for job in jobs], dtype=torch.int64, device=device)
    draw = _Draw(decoding, seeds, [job.contest for job in jobs])
    ends = _end_ids(loaded.model)
    amounts = gains(loaded.ffn.space, [(job.neurons, job.alpha) for job in jobs], device, loaded.dtype)
    with torch.inference_mode(), scale(loaded.ffn, amounts):
        out = loaded.model.generate(
            input_ids=ids,
            attention_mask=mask,
            generation_config=GenerationConfig(
                max_new_tokens=decoding.max_new_tokens,
                do_sample=False,  # `_Draw` has done the sampling when greedy search takes its maximum
                eos_token_id=sorted(ends) or None,
                pad_token_id=pad,
            ),
            logits_processor=LogitsProcessorList([draw]),
        )
    logprobs, entropies = torch.stack(draw.logprobs, 1).tolist(), torch.stack(draw.entropies, 1).tolist()
    generated = []
    for row, tokens in enumerate(out[:, longest:].tolist()):
        stop = next((n + 1 for n, token in enumerate(tokens) if token in ends), None)
        length = stop or len(tokens)
        generated.append(
            Generated(
                token_ids=tuple(tokens[:length]),
                logprobs=tuple(logprobs[row][:length]),
                entropies=tuple(entropies[row][:length]),
                truncated=stop is None,
                log_odds=draw.log_odds[row],
            )
        )
    return generated


def contest_odds(logprobs: Tensor, contests: Sequence[Contest | None]) -> list[float | None]:
    """log P(first side) - log P(second side) of each row's contest, from log-probabilities [row, token]."""
    odds: list[float | None] = []
    for row, contest in zip(logprobs.cpu() if any(contests) else logprobs, contests, strict=True):
        if contest is None:
            odds.append(None)
        else:
            first, second = (torch.logsumexp(row[list(side)], 0) for side in contest)
            odds.append(float(first - second))
    return odds


def batches(lengths: Sequence[int], token_budget: int) -> Iterator[list[int]]:
    """Indices in batches of similar length, each of at most `token_budget` padded tokens (at least one row)."""
    order = sorted(range(len(lengths)), key=lambda n: (lengths[n], n))
    batch: list[int] = []
    for n in order:
        if batch and (len(batch) + 1) * lengths[n] > token_budget:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def _end_ids(model: Any) -> set[int]:
    end = model.generation_config.eos_token_id
    return set() if end is None else set(end) if isinstance(end, list) else {int(end)}
