"""`hneuro run --dry-run`: what would be computed, what is in the store already, and how long it may take.

The method is rehearsed on the store: every stage that is there is read, and the first that is not ends the rehearsal.
What follows depends on its result; of that only the alpha sweeps, whose size is known, are named.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.known import KNOWN_FACTS, KnownBenchmark
from hneuro.causal.grid import answers_to_a_prompt, chosen_items
from hneuro.experiment import Experiment
from hneuro.making import TIMINGS, Work
from hneuro.pipeline import checks, early
from hneuro.pipeline.method import run, run_until
from hneuro.pipeline.run import Run
from hneuro.pipeline.stored import SAMPLES_PER_SHARD
from hneuro.records import UserError
from hneuro.responses.vllm import VllmSampler
from hneuro.states import THEIRS
from hneuro.store import Kept, Store
from hneuro.sweeps.plan import Plan

Pace = Mapping[tuple[str, str], float]  # seconds, by stage and model
HEADS = ("to compute", "", "shards", "time", "disk")


@dataclass(frozen=True, kw_only=True)
class Need:
    """A result that is not there. None: not known before it is computed, or before the like was timed."""

    stage: str
    place: Path  # where it would be
    shards: int = 0
    done: int = 0  # shards of it that a run before has finished
    bytes: int | None = None  # it takes on the disk
    model: str = ""  # digest of the model that it reads
    what: str = ""
    seconds: float | None = None

    def row(self, shared: bool) -> list[str]:
        time = "shared with an earlier cell" if shared else _seconds(self.seconds)
        disk = "" if self.bytes is None else f"{self.bytes / 1e6:,.1f} MB"
        return [self.stage, self.what, f"{self.shards - self.done} of {self.shards}" if self.shards else "", time, disk]


class NotThereError(Exception):
    """Ends a rehearsal at the first result that is not there."""

    def __init__(self, need: Need) -> None:
        super().__init__(need.stage)
        self.need = need


class Rehearsal(Store):
    """A store that computes nothing: the first result that is not there is raised."""

    def records(self, stage: str, reads: Any, kind: Any, shards: Any, work: Any) -> Any:
        self._size: tuple[int, int | None] = len(shards), None
        return super().records(stage, reads, kind, shards, work)

    def arrays(self, stage: str, reads: Any, kinds: Any, shards: Any, work: Any) -> Any:
        bytes_ = sum(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in kinds.values())
        self._size = len(shards), bytes_
        return super().arrays(stage, reads, kinds, shards, work)

    def _kept(
        self,
        stage: str,
        reads: Mapping[str, Any],
        begin: Callable[[Path], Work],
        load: Callable[[Path], Any],
    ) -> Kept[Any]:
        place = self.place(stage, reads)
        if place.exists():
            return super()._kept(stage, reads, begin, load)
        shards, size = self._size
        done = len(list(Path(f"{place}.partial").glob("shard-*.done")))
        raise NotThereError(Need(stage=stage, place=place, shards=shards, done=done, bytes=size, model=_model(reads)))


def estimate(plan: Plan | None, experiments: Mapping[int, Experiment]) -> int:
    """Prints the rehearsal of one experiment, or of the cells of a sweep. 2 where one of them would fail, else 0."""
    first: dict[Path, int] = {}  # who of the cells would compute it
    blocks: dict[str, list[int]] = defaultdict(list)  # the cells of which the same is to be said
    every: dict[Path, Need] = {}
    failing = plan is not None and any(cell.error for cell in plan.cells)
    for number, experiment in experiments.items():
        store = Rehearsal(Path(experiment.store_dir))
        try:
            needs = _needs(experiment, store)
        except UserError as fault:
            blocks[f"would fail: {fault}"].append(number)
            failing = True
            continue
        every |= {need.place: need for need in needs}
        shared = {need.place for need in needs if first.setdefault(need.place, number) != number}
        blocks[_told(store, needs, shared)].append(number)
    for block, numbers in blocks.items():
        for number in numbers if plan is not None else ():
            assert plan is not None
            varied = zip(plan.columns, plan.cells[number].varied, strict=True)
            print(f"cell {number}: {' '.join(map('='.join, varied))}")
        print(block, end="\n\n")
    if plan is not None:
        for cell in plan.cells:
            if cell.error:
                print(f"cell {cell.number} ({' '.join(cell.varied)}) does not fit together: {cell.error}")
        print(total(len(experiments), list(every.values())))
    return THEIRS if failing else 0


def _needs(experiment: Experiment, store: Rehearsal) -> list[Need]:
    """The results that would be computed first, and then the sweeps, as far as they can be seen."""
    experiment.check_inputs()
    this, needs = _first(experiment, store)
    shards, records = paces(store.root, experiment.intervention.rows_per_shard)
    timed = [
        replace(need, seconds=None if each is None else (need.shards - need.done) * each)
        for need in needs
        for each in [shards.get((need.stage, need.model))]
    ]
    if not needs or experiment.until or not experiment.intervention.swept:
        return timed
    there = {need.stage for need in needs} | set(store.tally.loaded)  # the first has a row of its own
    if experiment.choice.suppresses:
        there.discard(f"sweep-{KNOWN_FACTS}")  # it was found for the choice of C, which sweeps them as well
    model = _model({"model": this.chat.identity})
    return [*timed, *(sweep for sweep in _sweeps(experiment, records, model) if sweep.stage not in there)]


def _first(experiment: Experiment, store: Rehearsal) -> tuple[Run, list[Need]]:
    """The responses of all sets, or else the one result that the method stops at."""
    this = Run.of(experiment, store)
    checks.check_questions(this)
    needs: dict[Path, Need] = {}  # several responses to a question begin with one
    for each in early.sets(this):
        try:
            each.draw()
        except NotThereError as missing:
            most = "at most " if each.most > 1 and experiment.stop_early else ""
            count, tokens = len(each.questions) * each.most, experiment.answer_tokens
            what = f"{most}{count:,} responses of at most {tokens} tokens{' of the base model' * each.model.is_base}"
            needs.setdefault(missing.need.place, replace(missing.need, what=what))
    if not needs and experiment.until != "responses":
        try:
            if experiment.until:
                run_until(experiment, store, experiment.until)
            else:
                run(experiment, store)
        except NotThereError as missing:
            needs[missing.need.place] = missing.need
    return this, list(needs.values())


def _sweeps(experiment: Experiment, pace: Pace, model: str) -> Iterator[Need]:
    """The alpha sweep of every benchmark, of which only the neurons are not known yet."""
    grid = experiment.intervention
    columns = answers_to_a_prompt(grid)
    sizes = {b.name: (_prompts(b, grid.items), b.decoding.max_new_tokens) for b in experiment.benchmarks.values()}
    for name, (prompts, tokens) in (*sizes.items(), (KNOWN_FACTS, (grid.known_questions, experiment.answer_tokens))):
        each = pace.get((f"sweep-{name}", model), _as_responses(experiment, tokens, pace, model))
        yield Need(
            stage=f"sweep-{name}",
            place=Path(experiment.identity, name),  # none yet: that of two cells of one run is the same
            what=f"at most {'?' if prompts is None else f'{prompts:,}'} x {columns} answers",
            seconds=None if each is None or prompts is None else each * prompts * columns,
        )


def _prompts(benchmark: Benchmark | KnownBenchmark, items: int | None) -> int | None:
    if isinstance(benchmark, KnownBenchmark):
        return items  # at most; what a model knows is not known before
    try:
        return len(chosen_items(benchmark.items(), items))
    except UserError:
        return None


def _as_responses(experiment: Experiment, tokens: int, pace: Pace, model: str) -> float | None:
    """Seconds an answer where no sweep was timed: those of a sampled response of the same engine, token by token."""
    decoding = getattr(experiment.sampling, "decoding", None)
    each = pace.get(("responses", model))
    same = isinstance(experiment.sampling, VllmSampler) == (experiment.intervention.engine == "vllm")
    return each * tokens / float(decoding.max_new_tokens) if each is not None and decoding and same else None


def paces(root: Path, rows_per_shard: int) -> tuple[Pace, Pace]:
    """Seconds a shard and, of answers, seconds a record, by stage and model, of what was computed into this store."""
    shards: dict[tuple[str, str], list[float]] = defaultdict(list)
    records: dict[tuple[str, str], list[float]] = defaultdict(list)
    file = root / TIMINGS
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            timed = json.loads(line)
            folder = root / timed["stage"] / timed["key"]
            reads = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["reads"]
        except (ValueError, OSError):  # cut by a kill, or deleted: one measurement less
            continue
        key, each = (timed["stage"], _model(reads)), timed["seconds"] / timed["shards"]
        shards[key].append(each)
        if timed["stage"] == "responses" or timed["stage"].startswith("sweep-"):
            full = SAMPLES_PER_SHARD if timed["stage"] == "responses" else rows_per_shard
            with (folder / "records.jsonl").open("rb") as lines:
                records[key].append(each / max(1, min(sum(1 for _ in lines), full)))
    means = ({key: float(np.mean(seconds)) for key, seconds in found.items()} for found in (shards, records))
    return next(means), next(means)


def _model(reads: Mapping[str, Any]) -> str:
    model = reads.get("model")
    return str(model.get("weights", "")) if isinstance(model, Mapping) else ""


def _told(store: Store, needs: Sequence[Need], shared: Collection[Path]) -> str:
    there = f"in {store.root}: {len(store.tally.loaded)} stages are there, and are read"
    if not needs:
        return f"{there}\nnothing would be computed but the report"
    rows = [need.row(need.place in shared) for need in needs]
    table = tabulate(rows, headers=HEADS, tablefmt="simple", disable_numparse=True)
    unknown = "\ntime is unknown where this store has never seen the like computed with the same model"
    return f"{there}\n\n{table}{unknown * any(row[3] == 'unknown' for row in rows)}"


def total(cells: int, needs: Sequence[Need]) -> str:
    """The sum over the cells of a sweep, whose results are counted once."""
    known = [need.seconds for need in needs if need.seconds is not None]
    time = _seconds(sum(known) if known or not needs else None)
    rest = f" and {len(needs) - len(known)} of unknown time" if known and len(known) < len(needs) else ""
    disk = sum(need.bytes or 0 for need in needs) / 1e6
    count = f"all {cells} cells, what they share counted once: {len(needs)} results"
    return f"{count}, {time}{rest}, {disk:,.1f} MB, and what follows from them"


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.0f} s"
