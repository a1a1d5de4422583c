"""Alpha sweeps bound to the store: openings, answers, readings, effects; each a stage of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.benchmarks.base import Benchmark, Measure, readings_of
from hneuro.causal.conversation import Sweeper, SweepRow
from hneuro.causal.effects import effects
from hneuro.causal.grid import Cell, NeuronSet, Steering, cells, chosen_items
from hneuro.causal.passes import losses
from hneuro.causal.perplexity import perplexity_rows
from hneuro.models.language_model import LanguageModel
from hneuro.pipeline.checks import check_parts
from hneuro.pipeline.measured import Answers, pooled
from hneuro.pipeline.run import Run
from hneuro.pipeline.stored import shape_of
from hneuro.records import BenchmarkItem, Opening, Reading, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import EngineSampler
from hneuro.responses.vllm import VllmSampler
from hneuro.result_records import ResultRow
from hneuro.stage import Rows, Shards, array, sharded, stage
from hneuro.store import Kept, Store

READINGS_PER_SHARD = 512
STRATA = ("dataset", "framing", "variant", "policy")  # keys of an item's meta
Openings = Kept[tuple[Opening, ...]]


@dataclass(frozen=True)
class Swept:
    """The answers of one benchmark in the order of (item, cell), and how each was read."""

    benchmark: Benchmark
    items: tuple[BenchmarkItem, ...]
    answers: Kept[tuple[SweepAnswer, ...]]
    readings: Kept[tuple[Reading, ...]]
    openings: Openings | None  # of the items that go on after one, if there are any


def spoken(run: Run, items: Sequence[BenchmarkItem]) -> tuple[BenchmarkItem, ...]:
    """With continuations as the run's model would say them after the prompt."""
    say = run.experiment.model.prompting.spoken
    return tuple(
        replace(item, comply=tuple(map(say, item.comply)), resist=tuple(map(say, item.resist))) for item in items
    )


@contextmanager
def device_of_sweeps(run: Run) -> Iterator[None]:
    """Sweeps inside share an engine, if one answers them, which then leaves the device to the model."""
    try:
        yield
    finally:
        sampler = run.experiment.sampling
        if run.experiment.intervention.engine == "vllm" and isinstance(sampler, EngineSampler):
            sampler.close()


def alpha_sweep(
    run: Run,
    benchmark: Benchmark,
    sets: Sequence[NeuronSet],
    openings: Openings | None = None,
    steering: Steering | None = None,
) -> Swept:
    """Another reading asks nothing again: the stage of the answers does not know how they are read.

    `openings`: those of another model, for one that is compared with it. Otherwise the untouched model makes its own.
    `steering`: added in every cell, the untouched one too; not with vLLM.
    """
    setup, settings = run.experiment, run.experiment.intervention
    grid = cells(sets)
    sweeper, reads = _sweeper(run, benchmark.decoding, steering)
    asking = _Asking(
        name=benchmark.name,
        sweeper=sweeper,
        reads=[reads, benchmark.decoding, setup.seed],
        items=spoken(run, chosen_items(benchmark.items(), settings.items)),
        per_shard=settings.rows_per_shard,
        by_cell=settings.engine == "vllm",
        ready=lambda: check_parts(run),
    )
    if openings is None and any(item.follow_ups for item in asking.items):
        openings = opened(run.store, asking)
    made = answered(run.store, asking, grid, openings)
    answers = Kept(lambda: _by_item(made.value, len(asking.items)), made.digest) if asking.by_cell else made
    return Swept(benchmark, asking.items, answers, read(run.store, benchmark, asking.items, answers), openings)


@dataclass(frozen=True, kw_only=True)
class _Asking:
    """The prompts of a benchmark, and who answers them."""

    name: str
    sweeper: Sweeper
    reads: Any  # what the answers depend on by who gives them
    items: tuple[BenchmarkItem, ...]
    per_shard: int
    by_cell: bool  # where a treatment holds for all rows
    ready: Callable[[], None]  # refuses a run that could not read the answers: a key may be missing, or a file

    @property
    def store_key(self) -> Any:
        return [self.reads, self.items]


@sharded(Opening, version=1, name="openings-{asking.name}")
def opened(asking: _Asking) -> Shards[Opening]:
    """What the untouched model says first, where a prompt continues after that."""

    def work(shard: Sequence[BenchmarkItem]) -> Sequence[Opening]:
        asking.ready()
        return asking.sweeper.openings(shard)

    return Shards.of([item for item in asking.items if item.follow_ups], asking.per_shard, work)


@sharded(SweepAnswer, version=1, name="sweep-{asking.name}")
def answered(asking: _Asking, grid: Sequence[Cell], openings: Openings | None) -> Shards[SweepAnswer]:
    begun = {} if openings is None else {opening.item_id: opening.text for opening in openings.value}
    items, size = asking.items, asking.per_shard

    def work(shard: Sequence[SweepRow]) -> Sequence[SweepAnswer]:
        asking.ready()
        return asking.sweeper.answers(shard, begun)

    if asking.by_cell:
        parts = [Shards.of([(item, cell) for item in items], size, work) for cell in grid]
        return Shards([shard for part in parts for shard in part.shards], work)
    return Shards.of([(item, cell) for item in items for cell in grid], size, work)


@sharded(Reading, version=2, name="readings-{benchmark.name}")
def read(
    benchmark: Benchmark, items: Sequence[BenchmarkItem], answers: Kept[tuple[SweepAnswer, ...]]
) -> Shards[Reading]:
    by_id = {item.id: item for item in items}

    def work(shard: Sequence[SweepAnswer]) -> Sequence[Reading]:
        told = [(by_id[answer.item_id], answer.replies) for answer in shard]
        return readings_of(benchmark, told, [answer.truncated for answer in shard])

    return Shards.of(answers.value, READINGS_PER_SHARD, work)


def _by_item(answers: Sequence[SweepAnswer], items: int) -> tuple[SweepAnswer, ...]:
    """Answers that were made cell by cell, each to all items, in the order of (item, cell)."""
    return tuple(answer for n in range(items) for answer in answers[n::items])


def _sweeper(run: Run, decoding: Decoding, steering: Steering | None) -> tuple[Sweeper, Mapping[str, Any]]:
    """Who answers, and what the answers depend on by that."""
    setup = run.experiment
    if setup.intervention.engine == "transformers":
        from hneuro.causal.sweep import Sweep

        budget = setup.intervention.token_budget
        sweep = Sweep(run.chat, decoding, budget, setup.seed, steering)
        more = {} if steering is None else {"steering": steering}
        return sweep, {"model": run.chat.identity, "token_budget": budget, **more}
    assert steering is None
    from hneuro.causal.vllm_sweep import VllmSweep

    sampler = setup.sampling
    assert isinstance(sampler, VllmSampler)
    engine = replace(sampler, samples=1, decoding=Decoding())  # neither is read here
    reads = {"model": sampler.reads(run.chat), "engine": engine}
    return VllmSweep(run.chat, engine, decoding, shape_of(run.store, run.chat), setup.seed), reads


def entities(swept: Swept) -> dict[str, str]:
    """Item -> what it is about."""
    return {item.id: str(item.meta.get("entity", item.id)) for item in swept.items}


def strata(items: Sequence[BenchmarkItem]) -> dict[str, tuple[str, ...]]:
    """Item -> the parts that it belongs to, of those kinds of which its benchmark has several."""
    kinds = [kind for kind in STRATA if len({str(item.meta[kind]) for item in items if kind in item.meta}) > 1]
    found = {item.id: tuple(str(item.meta[kind]) for kind in kinds if kind in item.meta) for item in items}
    return {item: parts for item, parts in found.items() if parts}


def measured_effects(store: Store, swept: Swept) -> tuple[ResultRow, ...]:
    """Rates, slopes and tests of one sweep, whose bootstraps take seconds."""
    name, measures = swept.benchmark.name, swept.benchmark.measures
    return tested(store, swept.answers, swept.readings, name, measures, entities(swept), strata(swept.items)).value


@stage(ResultRow, version=1, name="effects")
def tested(
    answers: Kept[tuple[SweepAnswer, ...]],
    readings: Kept[tuple[Reading, ...]],
    benchmark: str,
    measures: Measure,
    entity_of: Mapping[str, str],
    strata_of: Mapping[str, tuple[str, ...]],
) -> Sequence[ResultRow]:
    return effects(answers.value, readings.value, benchmark, measures, entity_of, strata_of)


def perplexity(run: Run, sets: Sequence[NeuronSet]) -> tuple[ResultRow, ...]:
    """Perplexity of the text under every set at every alpha; nothing where there is no text."""
    found = text_losses(run, sets)
    return () if found is None else perplexity_rows(cells(sets), found, [one.name for one in sets])


def text_losses(run: Run, sets: Sequence[NeuronSet]) -> NDArray[np.float32] | None:
    """`losses` of the text in every cell; None where there is no text."""
    setup = run.experiment
    passages = setup.text.passages()
    if not passages:
        return None
    return passage_losses(run.store, run.chat, passages, cells(sets), setup.intervention.token_budget).value


@array(version=1, name="perplexity")
def passage_losses(model: LanguageModel, passages: Sequence[str], grid: Sequence[Cell], budget: int) -> Rows:
    """[cell, passage, 2]: the sum of -log P, and the number of tokens."""

    def work(rows: slice) -> NDArray[np.float32]:
        return losses(model, passages, grid[rows], budget)

    return Rows.of((len(grid), len(passages), 2), 1, work)


def usual_activity(run: Run, faithful: Answers, neurons: Sequence[int]) -> NDArray[np.float32]:
    """[neuron]: mean of z where faithful answers are given (or predicted)."""
    right = replace(faithful, labelled=tuple(r for r in faithful.labelled if not r.hallucinated))
    sequences, positions = pooled(run, run.chat, right.said(), "answer")
    budget = run.experiment.contribution.token_budget
    return activity(run.store, run.chat, sequences, [own for (own,) in positions], neurons, budget).value


@array(version=1)
def activity(
    model: LanguageModel,
    sequences: Sequence[Sequence[int]],
    positions: Sequence[Sequence[int]],
    neurons: Sequence[int],
    budget: int,
) -> Rows:
    def work(_: slice) -> NDArray[np.float32]:
        from hneuro.causal.passes import activity

        return activity(model.loaded, sequences, positions, neurons, budget)

    return Rows.of((len(neurons),), len(neurons), work)
