"""Batched generation: one function under sampling, sweeps and capability checks.

The loop is our own: `generate` of the transformers library reads the prompt once for every row, and keeps every row to
the end of the longest. Its continuous batching (`generate_batch`) shares prompts, but draws all requests from one
generator and knows log-probabilities of the warped distribution only: a response would depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hneuro.models.edits import UNTOUCHED, Treatment
from hneuro.models.load import Loaded
from hneuro.responses.contest import Contest, Outcome, read_contests
from hneuro.responses.decoding import Decoding
from hneuro.responses.draw import draw, row_seed
from hneuro.responses.rows import Rows, begin


@dataclass(frozen=True)
class Job:
    """One row of a batch."""

    prompt_ids: tuple[int, ...]
    seed: str  # names the draw: equal seeds draw equal noise
    treatment: Treatment = UNTOUCHED
    contest: Contest | None = None  # read where the response begins


@dataclass(frozen=True)
class Generated:
    token_ids: tuple[int, ...]  # up to and with the token that ended the turn
    logprobs: tuple[float, ...]
    entropies: tuple[float, ...]
    truncated: bool
    outcome: Outcome | None = None  # of its contest


@torch.inference_mode()
def generate(loaded: Loaded, pad: int, jobs: Sequence[Job], decoding: Decoding) -> list[Generated]:
    """Generates one continuation for each job, in one left-padded batch that reads equal beginnings once."""
    starts = [(job.prompt_ids, job.treatment) for job in jobs]
    rows = begin(loaded, pad, starts)
    outcomes = read_contests(rows, pad, starts, [job.contest for job in jobs])
    made = _continued(rows, [job.seed for job in jobs], decoding, sorted(end_ids(loaded.model)))
    return [Generated(*said, outcome=outcome) for said, outcome in zip(made, outcomes, strict=True)]


Said = tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...], bool]


def _continued(rows: Rows, seeds: Sequence[str], decoding: Decoding, ends: Sequence[int]) -> list[Said]:
    """What every row says until one of the `ends`, and whether it was cut before it."""
    device, most = rows.logits.device, decoding.max_new_tokens
    end_ids = torch.tensor(ends, dtype=torch.int64, device=device)
    noise = torch.tensor([row_seed(seed) for seed in seeds], dtype=torch.int64, device=device)
    tokens = torch.zeros(len(seeds), most, dtype=torch.int64, device=device)
    logprobs, entropies = torch.zeros(2, len(seeds), most, device=device)
    lengths = torch.zeros(len(seeds), dtype=torch.int64, device=device)
    place = torch.arange(len(seeds), device=device)  # of each row in the results
    going = torch.ones(len(seeds), dtype=torch.bool, device=device)  # rows that have not ended
    for step in range(most):
        drawn = draw(rows.logits, noise[place], step, decoding)
        tokens[place, step], logprobs[place, step], entropies[place, step] = drawn
        lengths[place[going]] += 1
        going &= ~torch.isin(drawn.tokens, end_ids)
        left = int(going.sum())
        if not left or step + 1 == most:
            break
        taken = drawn.tokens
        # Rows that have ended are let go when they are half of all: less is copied then than is saved.
        if 2 * left <= len(going) and rows.selectable:
            kept = going.nonzero()[:, 0]
            rows, taken, place, going = rows.select(kept), taken[kept], place[kept], going[kept]
        rows = rows.step(taken)
    said = zip(tokens.tolist(), logprobs.tolist(), entropies.tolist(), lengths.tolist(), strict=True)
    return [(tuple(t[:n]), tuple(p[:n]), tuple(e[:n]), t[n - 1] not in ends) for t, p, e, n in said]


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


def end_ids(model: Any) -> set[int]:
    end = model.generation_config.eos_token_id
    return set() if end is None else set(end) if isinstance(end, list) else {int(end)}
