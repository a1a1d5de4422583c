"""Alpha sweeps bound to the store: openings, answers, readings, effects; each a stage of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.benchmarks.base import RULE, Benchmark, readings_of
from hneuro.causal.effects import TESTED, effects
from hneuro.causal.grid import NeuronSet, cells, chosen_items
from hneuro.causal.passes import losses
from hneuro.causal.perplexity import perplexity_rows
from hneuro.detection.monitor import RiskMonitor
from hneuro.records import BenchmarkItem, Opening, Reading, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import EngineSampler
from hneuro.responses.vllm import VllmSampler
from hneuro.result_records import ResultRow
from hneuro.steps.checks import check_parts
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.steps.stored import chunks, described, shape_of
from hneuro.store import Kept, Store, fingerprint

if TYPE_CHECKING:
    from hneuro.causal.conversation import Sweeper, SweepRow

READINGS_PER_SHARD = 512
STRATA = ("dataset", "framing", "variant", "policy")  # keys of an item's meta
S = TypeVar("S")
T = TypeVar("T")
Openings = Kept[tuple[Opening, ...]]


@dataclass(frozen=True)
class Swept:
    """The answers of one benchmark in the order of (item, cell), and how each was read."""

    benchmark: Benchmark
    items: tuple[BenchmarkItem, ...]
    answers: Kept[tuple[SweepAnswer, ...]]
    readings: Kept[tuple[Reading, ...]]
    openings: Openings | None  # of the items that go on after one, if there are any


@contextmanager
def device_of_sweeps(run: Context) -> Iterator[None]:
    """Sweeps inside share an engine, if one answers them, which then leaves the device to the model."""
    try:
        yield
    finally:
        sampler = run.experiment.sampling
        if run.experiment.intervention.engine == "vllm" and isinstance(sampler, EngineSampler):
            sampler.close()


def alpha_sweep(
    run: Context,
    benchmark: Benchmark,
    sets: Sequence[NeuronSet],
    monitor: RiskMonitor | None = None,
    openings: Openings | None = None,
) -> Swept:
    """Another reading asks nothing again: the stage of the answers does not know how they are read.

    `openings`: those of another model, for one that is compared with it. Otherwise the untouched model makes its own.
    """
    store, settings = run.store, run.experiment.intervention
    items = chosen_items(benchmark.items(), settings.items)
    grid = cells(sets)
    watched = monitor if any(one.scope == "risky" for one in sets) else None
    sweep, read_by_it = _sweeper(run, benchmark.decoding, watched)
    reads = {**read_by_it, "decoding": benchmark.decoding, "items": fingerprint(items), "seed": run.experiment.seed}
    talks = [item for item in items if item.follow_ups]
    if talks and openings is None:
        stage = f"openings-{benchmark.name}"
        shards_of_talks = chunks(talks, settings.rows_per_shard)
        openings = store.records(stage, Opening, reads, shards_of_talks, checked(run, sweep.openings))
    begun: dict[str, str] = {}
    if openings is not None:
        begun = {opening.item_id: opening.text for opening in openings.value}
        reads["openings"] = openings.digest
    reads |= {"cells": grid, "monitor": None if watched is None else watched.reads}
    if settings.engine == "vllm":  # where a treatment holds for all rows: cell by cell
        shards = [part for cell in grid for part in chunks([(item, cell) for item in items], settings.rows_per_shard)]
    else:
        shards = chunks([(item, cell) for item in items for cell in grid], settings.rows_per_shard)

    def answer(shard: Sequence[SweepRow]) -> Sequence[SweepAnswer]:
        return sweep.answers(shard, begun)

    made = store.records(f"sweep-{benchmark.name}", SweepAnswer, reads, shards, checked(run, answer))
    answers = made
    if settings.engine == "vllm":
        answers = Kept(lambda: _by_item(made.value, len(items)), made.digest)
    by_id = {item.id: item for item in items}

    def read(shard: Sequence[SweepAnswer]) -> Sequence[Reading]:
        told = [(by_id[answer.item_id], answer.replies) for answer in shard]
        return readings_of(benchmark, told, [answer.truncated for answer in shard])

    known = {
        "benchmark": described(benchmark),
        "cut": "told apart",  # older readings do not tell why an answer says neither
        "derails": RULE,  # also keeps readings apart that were made when derailed answers were read like others
        "answers": answers.digest,
        "items": fingerprint(items),
    }
    stage = f"readings-{benchmark.name}"
    readings = store.records(stage, Reading, known, chunks(answers.value, READINGS_PER_SHARD), read)
    return Swept(benchmark, items, answers, readings, openings)


def checked(run: Context, work: Callable[[S], Sequence[T]]) -> Callable[[S], Sequence[T]]:
    """The work, once it is known that whoever reads its answers can: a key may be missing, or a file."""

    def first(shard: S) -> Sequence[T]:
        check_parts(run)
        return work(shard)

    return first


def _by_item(answers: Sequence[SweepAnswer], items: int) -> tuple[SweepAnswer, ...]:
    """Answers that were made cell by cell, each to all items, in the order of (item, cell)."""
    return tuple(answer for n in range(items) for answer in answers[n::items])


def _sweeper(run: Context, decoding: Decoding, monitor: RiskMonitor | None) -> tuple[Sweeper, Mapping[str, Any]]:
    """Who answers, and what the answers depend on by that."""
    setup = run.experiment
    if setup.intervention.engine == "transformers":
        from hneuro.causal.sweep import Sweep

        budget = setup.intervention.token_budget
        sweep = Sweep(run.chat, decoding, budget, setup.seed, monitor)
        return sweep, {"model": run.chat.identity, "token_budget": budget}
    from hneuro.causal.vllm_sweep import VllmSweep

    sampler = setup.sampling
    assert isinstance(sampler, VllmSampler)
    engine = replace(sampler, samples=1, decoding=Decoding())  # neither is read here
    reads = {"model": sampler.reads(run.chat), "engine": described(engine)}
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
    entity_of = entities(swept)
    name, measures = swept.benchmark.name, swept.benchmark.measures
    reads = {
        "answers": swept.answers.digest,
        "readings": swept.readings.digest,
        "name": name,
        "measures": measures,
        "tested": TESTED,  # rows of older code lack some of it
        "entities": fingerprint(entity_of),
    }
    if strata_of := strata(swept.items):
        reads["strata"] = fingerprint(strata_of)

    def work() -> Sequence[ResultRow]:
        return effects(swept.answers.value, swept.readings.value, name, measures, entity_of, strata_of)

    return store.whole("effects", ResultRow, reads, work).value


def perplexity(run: Context, sets: Sequence[NeuronSet]) -> tuple[ResultRow, ...]:
    """Perplexity of the text under every set at every alpha; nothing where there is no text."""
    found = text_losses(run, sets)
    return () if found is None else perplexity_rows(cells(sets), found, [one.name for one in sets])


def text_losses(run: Context, sets: Sequence[NeuronSet]) -> NDArray[np.float32] | None:
    """`losses` of the text in every cell; None where there is no text."""
    setup = run.experiment
    passages = setup.text.passages()
    if not passages:
        return None
    grid, budget = cells(sets), setup.intervention.token_budget
    reads = {"model": run.chat.identity, "text": fingerprint(passages), "cells": grid, "token_budget": budget}

    def work(rows: slice) -> NDArray[np.float32]:
        return losses(run.chat, passages, grid[rows], budget)

    each = [slice(n, n + 1) for n in range(len(grid))]
    return run.store.array("perplexity", reads, (len(grid), len(passages), 2), each, work).value


def usual_activity(run: Context, faithful: Answers, neurons: Sequence[int]) -> NDArray[np.float32]:
    """[neuron]: mean of z where faithful answers are given (or predicted)."""
    setup = run.experiment
    shift = 1 if setup.contribution.position == "predicting" else 0
    right = [(r.question_id, r.sample) for r in faithful.labelled if not r.hallucinated]
    said = [faithful.responses[key] for key in right]
    sequences = [(*r.prompt_ids, *r.token_ids) for r in said]
    positions = [
        [len(r.prompt_ids) + n - shift for n in faithful.spans[key].tokens] for key, r in zip(right, said, strict=True)
    ]
    reads = {
        "model": run.chat.identity,
        "sequences": fingerprint([sequences, positions]),
        "neurons": list(neurons),
    }

    def work(_: slice) -> NDArray[np.float32]:
        from hneuro.causal.passes import activity

        budget = setup.contribution.token_budget
        return activity(run.chat.loaded, sequences, positions, neurons, budget)

    return run.store.array("activity", reads, (len(neurons),), [slice(0, len(neurons))], work).value
