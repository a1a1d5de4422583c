"""The alpha sweep: every prompt under every neuron set at every alpha, controls included, as one generation job.

Rows of one batch differ in alpha and in neuron set (`hneuro.models.edits`), so the grid fills the device whatever its
shape. alpha = 1 is the untouched model, answered once for all sets. Greedy answers do not depend on how rows were
batched (float32); sampled ones draw the same noise in every cell of an item, so that differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hneuro.causal.grid import Cell
from hneuro.causal.readout import Fork, fork_of, log_odds_at, p_comply
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, Opening, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, batches, generate
from hneuro.responses.rows import Monitor

Row = tuple[BenchmarkItem, Cell]
Message = Mapping[str, str]


@dataclass(frozen=True)
class Sweep:
    """How the rows of a sweep are answered. `monitor` is needed where a treatment acts at risk only."""

    model: LanguageModel
    decoding: Decoding
    token_budget: int
    seed: int = 0
    monitor: Monitor | None = None

    def openings(self, items: Sequence[BenchmarkItem]) -> tuple[Opening, ...]:
        """The first replies of the untouched model to items that go on after one (section 3.2, sycophancy)."""
        jobs = [Job(self.model.chat_ids(item.messages), self._draw(item, 0)) for item in items]
        made = self._generated(jobs)
        return tuple(
            Opening(item_id=item.id, text=self.model.text_of(reply.token_ids))
            for item, reply in zip(items, made, strict=True)
        )

    def answers(self, rows: Sequence[Row], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        """The answers of some rows in their order. `openings`: item -> its first reply, where it goes on after one."""
        said = [[openings[item.id]] if item.follow_ups else [] for item, _ in rows]
        forks = [fork_of(item, self.model.tokenizer) for item, _ in rows]
        truncated = [False] * len(rows)
        odds: dict[int, float] = {}
        turns, waiting = 0, list(range(len(rows)))
        while waiting:
            jobs = [self._job(rows[n], said[n], forks[n] if turns == 0 else None) for n in waiting]
            if turns == 0:
                odds |= self._behind_shared_tokens(jobs, forks)
            for n, reply in zip(waiting, self._generated(jobs), strict=True):
                said[n].append(self.model.text_of(reply.token_ids))
                truncated[n] |= reply.truncated
                if reply.log_odds is not None:
                    odds[n] = reply.log_odds
            turns, waiting = turns + 1, [n for n in waiting if len(said[n]) <= len(rows[n][0].follow_ups)]
        return tuple(
            SweepAnswer(
                item_id=item.id,
                neuron_set=cell.neuron_set,
                seed=cell.seed,
                alpha=cell.alpha,
                replies=tuple(said[n]),
                p_comply=p_comply(odds[n]) if n in odds else None,
                truncated=truncated[n],
            )
            for n, (item, cell) in enumerate(rows)
        )

    def _job(self, row: Row, said: Sequence[str], fork: Fork | None) -> Job:
        """The next reply of a row; the odds of a fork are read as it begins, if they can be."""
        item, cell = row
        contest = (fork.comply, fork.resist) if fork and not fork.shared else None
        return Job(self.model.chat_ids(conversation(item, said)), self._draw(item, len(said)), cell.treatment, contest)

    def _draw(self, item: BenchmarkItem, turn: int) -> str:
        return f"{self.seed}/{item.id}" + (f"/{turn}" if turn else "")

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


def conversation(item: BenchmarkItem, said: Sequence[str]) -> list[Message]:
    """The messages up to the model's next reply, after what it has said."""
    messages = list(item.messages)
    for reply, answer in zip(said, item.follow_ups, strict=False):
        messages += [{"role": "assistant", "content": reply}, {"role": "user", "content": answer}]
    return messages
