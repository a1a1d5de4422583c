"""The alpha sweep: every prompt under every neuron set at every alpha, controls included, as one generation job.

Rows of one batch differ in alpha and in neuron set (`hneuro.models.hooks.scale` takes a gain a row), so the grid fills
the device whatever its shape. alpha = 1 is the untouched model, answered once for all sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.grid import NeuronSet, SweepSettings
from hneuro.causal.readout import Fork, fork_of, log_odds_at, p_comply
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, SweepAnswer
from hneuro.responses.generate import Generated, Job, batches, generate

UNTOUCHED = "untouched"


def sweep(
    model: LanguageModel,
    benchmark: Benchmark,
    items: Sequence[BenchmarkItem],
    sets: Sequence[NeuronSet],
    settings: SweepSettings,
    seed: int = 0,
) -> tuple[SweepAnswer, ...]:
    """Answers of `items` for every (set, alpha), alpha = 1 under every set's name, ordered by item, set, alpha.

    Where decoding samples, an item draws the same noise in every cell, so that differences between cells are paired.
    """
    alphas = sorted(set(settings.alphas))
    cells = [(s, a) for s, a in product(sets, alphas) if a != 1.0]
    if 1.0 in alphas:
        cells.insert(0, (NeuronSet(name=UNTOUCHED, seed=0, neurons=()), 1.0))
    jobs: list[Job] = []
    forks: list[Fork | None] = []
    for item in items:
        prompt, fork = model.chat_ids(item.messages), fork_of(item, model.tokenizer)
        contest = (fork.comply, fork.resist) if fork and not fork.shared else None
        for chosen, alpha in cells:
            draw = f"{seed}/{item.id}"
            jobs.append(Job(prompt_ids=prompt, seed=draw, neurons=chosen.neurons, alpha=alpha, contest=contest))
            forks.append(fork)
    made = _generate(model, benchmark, jobs, settings.token_budget)
    odds = {n: answer.log_odds for n, answer in made.items() if answer.log_odds is not None}
    odds |= _behind_shared_tokens(model, jobs, forks, settings.token_budget)
    answers: list[SweepAnswer] = []
    for n, item in enumerate(items):
        at = {(s.name, s.seed, a): n * len(cells) + c for c, (s, a) in enumerate(cells)}
        for chosen, alpha in product(sets, alphas):
            row = at[(UNTOUCHED, 0, 1.0) if alpha == 1.0 else (chosen.name, chosen.seed, alpha)]
            text = model.text_of(made[row].token_ids)
            answers.append(
                SweepAnswer(
                    item_id=item.id,
                    benchmark=benchmark.name,
                    neuron_set=chosen.name,
                    seed=chosen.seed,
                    alpha=alpha,
                    text=text,
                    outcome=benchmark.outcome(item, text),
                    p_comply=p_comply(odds[row]) if row in odds else None,
                    truncated=made[row].truncated,
                )
            )
    return tuple(answers)


def _generate(model: LanguageModel, benchmark: Benchmark, jobs: Sequence[Job], budget: int) -> Mapping[int, Generated]:
    lengths = [len(job.prompt_ids) + benchmark.decoding.max_new_tokens for job in jobs]
    made: dict[int, Generated] = {}
    for batch in batches(lengths, budget):
        pad = model.tokenizer.pad_token_id
        made.update(zip(batch, generate(model.loaded, pad, [jobs[n] for n in batch], benchmark.decoding), strict=True))
    return made


def _behind_shared_tokens(
    model: LanguageModel, jobs: Sequence[Job], forks: Sequence[Fork | None], budget: int
) -> Mapping[int, float]:
    """The odds that generation could not read as it began, by row."""
    waiting = [(n, jobs[n], fork) for n, fork in enumerate(forks) if fork and fork.shared]
    read: dict[int, float] = {}
    for batch in batches([len(job.prompt_ids) + len(fork.shared) for _, job, fork in waiting], budget):
        rows, chosen, parting = zip(*(waiting[n] for n in batch), strict=True)
        read.update(zip(rows, log_odds_at(model.loaded, model.tokenizer.pad_token_id, chosen, parting), strict=True))
    return read
