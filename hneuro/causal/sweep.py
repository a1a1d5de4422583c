"""The alpha sweep: every prompt under every neuron set at every alpha, controls included, as one generation job.

Rows of one batch differ in alpha and in neuron set (`hneuro.models.edits`), so the grid fills the device whatever its
shape. alpha = 1 is the untouched model, answered once for all sets. Greedy answers do not depend on how rows were
batched (float32); sampled ones draw the same noise in every cell of an item, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hneuro.causal.conversation import Reply, Row, Turn, answered, opened
from hneuro.causal.readout import Fork, fork_of, log_odds_at, p_comply
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, Opening, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, batches, generate
from hneuro.responses.rows import Monitor
from hneuro.responses.sampler import before_stop


@dataclass(frozen=True)
class Sweep:
    """How the rows of a sweep are answered. `monitor` is needed where a treatment acts at risk only."""

    model: LanguageModel
    decoding: Decoding
    token_budget: int
    seed: int = 0
    monitor: Monitor | None = None

    def openings(self, items: Sequence[BenchmarkItem]) -> tuple[Opening, ...]:
        return opened(self.model, items, self.seed, self._replies)

    def answers(self, rows: Sequence[Row], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        return answered(self.model, rows, openings, self.seed, self._replies)

    def _replies(self, turns: Sequence[Turn]) -> list[Reply]:
        forks = [fork_of(turn.item, self.model.tokenizer) if turn.decides else None for turn in turns]
        jobs = [_job(turn, fork) for turn, fork in zip(turns, forks, strict=True)]
        odds = dict(self._behind_shared_tokens(jobs, forks))
        made = self._generated(jobs)
        odds |= {n: reply.log_odds for n, reply in enumerate(made) if reply.log_odds is not None}
        lengths = [before_stop(self.model, reply.token_ids) for reply in made]
        return [
            Reply(
                text=self.model.text_of(reply.token_ids[: lengths[n]]),
                truncated=reply.truncated and lengths[n] == len(reply.token_ids),
                p_comply=p_comply(odds[n]) if n in odds else None,
            )
            for n, reply in enumerate(made)
        ]

    def _generated(self, jobs: Sequence[Job]) -> list[Generated]:
        """Rows that act at risk only take two passes a token, and are kept to themselves."""
        pad, made = self.model.tokenizer.pad_token_id, dict[int, Generated]()
        for risky in (False, True):
            some = [n for n, job in enumerate(jobs) if (job.treatment.scope == "risky") is risky]
            lengths = [len(jobs[n].prompt_ids) + self.decoding.max_new_tokens for n in some]
            for batch in batches(lengths, self.token_budget):
                chosen = [some[place] for place in batch]
                batch_jobs = [jobs[n] for n in chosen]
                found = generate(self.model.loaded, pad, batch_jobs, self.decoding, self.monitor if risky else None)
                made.update(zip(chosen, found, strict=True))
        return [made[n] for n in range(len(jobs))]

    def _behind_shared_tokens(self, jobs: Sequence[Job], forks: Sequence[Fork | None]) -> Mapping[int, float]:
        """The odds that generation cannot read as it begins, by row. A treatment at risk has none."""
        waiting = [
            (n, job, fork)
            for n, (job, fork) in enumerate(zip(jobs, forks, strict=True))
            if fork and fork.shared and job.treatment.scope == "all"
        ]
        pad, read = self.model.tokenizer.pad_token_id, dict[int, float]()
        for batch in batches([len(job.prompt_ids) + len(fork.shared) for _, job, fork in waiting], self.token_budget):
            rows, chosen, parting = zip(*(waiting[n] for n in batch), strict=True)
            read.update(zip(rows, log_odds_at(self.model.loaded, pad, chosen, parting), strict=True))
        return read


def _job(turn: Turn, fork: Fork | None) -> Job:
    """The odds of a fork are read as the reply begins, if they can be."""
    contest = (fork.comply, fork.resist) if fork and not fork.shared else None
    return Job(turn.prompt_ids, turn.seed, turn.treatment, contest)
