"""The alpha sweep: every prompt under every neuron set at every alpha, controls included, as one generation job.

Rows of one batch differ in alpha and in neuron set (`hneuro.models.edits`), so the grid fills the device whatever its
shape. alpha = 1 is the untouched model, answered once for all sets. Greedy answers do not depend on how rows were
batched (float32); sampled ones draw the same noise in every cell of an item, so that differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from hneuro.causal.conversation import Reply, SweepRow, Turn, answered, opened, reply_of
from hneuro.causal.grid import Steering
from hneuro.models.hooks import steer
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, Opening, SweepAnswer, UserError
from hneuro.responses.contest import Contest
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, batches, generate


@dataclass(frozen=True)
class Sweep:
    """How the rows of a sweep are answered."""

    model: LanguageModel
    decoding: Decoding
    token_budget: int
    seed: int = 0
    steering: Steering | None = None  # of all rows

    def openings(self, items: Sequence[BenchmarkItem]) -> tuple[Opening, ...]:
        return opened(self.model, items, self.seed, self._replies)

    def answers(self, rows: Sequence[SweepRow], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        return answered(self.model, rows, openings, self.seed, self._replies)

    def _replies(self, turns: Sequence[Turn]) -> list[Reply]:
        jobs = [self._job(turn) for turn in turns]
        made = self._generated(jobs)
        return [
            reply_of(
                self.model,
                turn.prompt_ids,
                reply.token_ids,
                reply.truncated,
                None if reply.outcome is None else p_comply(reply.outcome.log_odds),
                None if reply.outcome is None else reply.outcome.mass,
            )
            for turn, reply in zip(turns, made, strict=True)
        ]

    def _job(self, turn: Turn) -> Job:
        contest = contest_of(turn.item, self.model.tokenizer) if turn.decides else None
        return Job(turn.prompt_ids, turn.seed, turn.treatment, contest)

    def _generated(self, jobs: Sequence[Job]) -> list[Generated]:
        pad, made = self.model.tokenizer.pad_token_id, dict[int, Generated]()
        lengths = [len(job.prompt_ids) + self.decoding.max_new_tokens for job in jobs]
        for batch in batches(lengths, self.token_budget):
            with self._steered():
                found = generate(self.model.loaded, pad, [jobs[n] for n in batch], self.decoding)
            made.update(zip(batch, found, strict=True))
        return [made[n] for n in range(len(jobs))]

    def _steered(self) -> AbstractContextManager[None]:
        if self.steering is None:
            return nullcontext()
        return steer(self.model.loaded.ffn, self.steering.layer, torch.tensor(self.steering.vector))


def contest_of(item: BenchmarkItem, tokenizer: Any) -> Contest | None:
    """The item's complying continuations against its resisting ones; None where it has none to compare."""
    if not item.comply or not item.resist:
        return None
    comply, resist = (
        tuple(dict.fromkeys(tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in side))
        for side in (item.comply, item.resist)
    )
    if not all((*comply, *resist)):
        raise UserError(f"{item.benchmark}, item {item.id}: a continuation to compare has no tokens")
    for one in comply:
        for other in resist:
            shorter = min(len(one), len(other))
            if one[:shorter] == other[:shorter]:
                raise UserError(
                    f"{item.benchmark}, item {item.id}: a complying and a resisting continuation are the same, or one "
                    "begins with the other, so that nothing tells them apart"
                )
    return Contest(comply, resist)


def p_comply(log_odds: float) -> float:
    """P(comply) / (P(comply) + P(resist)) from the log-odds of the two sides."""
    return 1 / (1 + math.exp(-log_odds)) if log_odds > 0 else 1 - 1 / (1 + math.exp(log_odds))
