"""`hneuro run --dry-run`: what would be computed, what is in the store already, and how long it may take.

The method is rehearsed on the store: every stage that is there is read, and the first that is not ends the rehearsal.
What lies behind it depends on its result and is only named.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from hneuro.causal.grid import NeuronSet, SweepSettings, cells
from hneuro.experiment import Experiment
from hneuro.making import TIMINGS, Work
from hneuro.models.sources import on_disk
from hneuro.pipeline import run, run_until
from hneuro.records import UserError
from hneuro.steps import answers, checks
from hneuro.steps.context import Context
from hneuro.store import Kept, Store
from hneuro.sweeps.plan import Plan

BEHIND = (
    *("responses", "verdicts", "neurons", "spans", "contributions", "probe"),
    *("stability", "detection", "alpha sweeps", "drift", "origin"),
)
BITS = {"float32": 32, "float16": 16, "bfloat16": 16}


@dataclass(frozen=True, kw_only=True)
class Need:
    """A stage result that is not there."""

    stage: str
    place: Path  # where it would be
    shards: int
    done: int  # shards of it that a run before has finished
    bytes: int | None  # it takes on the disk, where that is known
    model: str  # digest of the model that it reads, "" where it reads none
    what: str = ""


class NotThereError(Exception):
    """Ends a rehearsal at the first result that is not there."""

    def __init__(self, need: Need) -> None:
        super().__init__(need.stage)
        self.need = need


class Rehearsal(Store):
    """A store that computes nothing: the first result that is not there is raised."""

    def records(self, stage: str, kind: Any, reads: Any, shards: Any, work: Any) -> Any:
        self._size: tuple[int, int | None] = len(shards), None
        return super().records(stage, kind, reads, shards, work)

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
        kind: object = None,
    ) -> Kept[Any]:
        place = self.place(stage, reads)
        if place.exists():
            return super()._kept(stage, reads, begin, load, kind)
        shards, size = self._size
        done = len(list(Path(f"{place}.partial").glob("shard-*.done")))
        raise NotThereError(
            Need(stage=stage, place=place, shards=shards, done=done, bytes=size, model=_model_of(reads))
        )


def estimate(plan: Plan | None, experiments: Mapping[int, Experiment]) -> int:
    """Prints the rehearsal of one experiment, or of the cells of a sweep. Always 0: nothing has been tried."""
    first: dict[Path, int] = {}  # who of the cells would compute it
    for number, experiment in experiments.items():
        if plan is not None:
            cell = plan.cells[number]
            print(f"cell {number}: {' '.join(map('='.join, zip(plan.columns, cell.varied, strict=True)))}")
        store = Rehearsal(Path(experiment.store_dir))
        try:
            needs = needed(experiment, store)
        except UserError as fault:
            print(f"would fail: {fault}\n")
            continue
        owners = {need.place: first.setdefault(need.place, number) for need in needs}
        print(_told(experiment, store, needs, {place: n for place, n in owners.items() if n != number}), end="\n\n")
    for cell in plan.cells if plan is not None else ():
        if cell.error:
            print(f"cell {cell.number} ({' '.join(cell.varied)}) does not fit together: {cell.error}")
    return 0


def needed(experiment: Experiment, store: Rehearsal) -> list[Need]:
    """What would be computed first: the responses of all sets, or else the one result that the method stops at."""
    this = Context(experiment, store)
    parts, others = answers.load_questions(this)
    checks.check_questions(this, [q for part in (parts, others) for questions in part.values() for q in questions])
    known = (*parts["fit"], *parts["select"])
    jobs = [(answers.several, this.chat, known, experiment.sampling.samples)]
    for asked in (this.chat, this.base):
        if asked is not None:
            jobs += [(answers.one_each, asked, questions, 1) for questions in (parts["report"], *others.values())]
    needs = []
    for sample, model, questions, samples in jobs:
        try:
            sample(this, model, questions)
        except NotThereError as missing:
            count = len(questions) * samples
            what = f"{count:,} responses of at most {experiment.answer_tokens} tokens"
            needs.append(replace(missing.need, what=what + (" of the base model" if model.completion else "")))
    if not needs and experiment.until != "responses":
        try:
            if experiment.until:
                run_until(experiment, store, experiment.until)
            else:
                run(experiment, store)
        except NotThereError as missing:
            needs.append(missing.need)
    return needs


def _told(experiment: Experiment, store: Store, needs: Sequence[Need], shared: Mapping[Path, int]) -> str:
    loaded = Counter(store.tally.loaded)
    lines = [f"in {store.root}: {sum(loaded.values())} stages are there, and are read"]
    if not needs:
        return "\n".join([*lines, "nothing would be computed but the report"])
    pace = _pace(store.root)
    rows = []
    for need in needs:
        left = need.shards - need.done
        seconds = pace.get((need.stage, need.model))
        time = "shared with cell " + str(shared[need.place]) if need.place in shared else "unknown"
        if seconds is not None and need.place not in shared:
            time = f"{left * seconds:.0f} s"
        disk = "" if need.bytes is None else f"{need.bytes / 1e6:,.1f} MB"
        rows.append([need.stage, need.what, f"{left} of {need.shards}", time, disk])
    heads = ["to compute", "", "shards", "time", "disk"]
    lines += ["", tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True), ""]
    if any(row[3] == "unknown" for row in rows):
        lines.append("time is unknown where this store has never seen the stage computed with the same model")
    last = max((n for n, stage in enumerate(BEHIND) if any(need.stage == stage for need in needs)), default=0)
    lines.append(f"behind that, not known before it is there: {', '.join(BEHIND[last + 1 :]) or 'the report'}")
    lines.append(_sizes(experiment))
    return "\n".join(lines)


def _sizes(experiment: Experiment) -> str:
    weights = _weights(experiment)
    held = "unknown before its files are here" if weights is None else f"{weights / 1e6:,.1f} MB"
    return f"{_sweeps(experiment)}\nmemory: the weights of the model take {held}, batches come on top"


def _sweeps(experiment: Experiment) -> str:
    grid = experiment.intervention
    if not grid.swept:
        return "alpha sweeps: none (intervention.swept=false)"
    columns = sum(columns_of(grid).values())
    items = "all" if grid.items is None else f"at most {grid.items}"
    parts = ", ".join(f"{count} {name}" for name, count in columns_of(grid).items() if count)
    return (
        f"alpha sweeps: at most {columns} answers to each prompt ({parts}); {items} prompts of each of "
        f"{len(experiment.benchmarks)} benchmarks, and at most {columns * grid.known_questions:,} answers to "
        f"{grid.known_questions} known facts"
    )


def columns_of(grid: SweepSettings) -> dict[str, int]:
    """Answers to each prompt of a benchmark, by what is done to the model: the sets of `swept_sets`, without neurons.

    At most so many: a probe may have no neurons of negative weight.
    """

    def one(name: str, seed: int, alphas: Sequence[float]) -> NeuronSet:
        return NeuronSet(name=name, seed=seed, neurons=(), alphas=tuple(alphas))

    names = ["h_neurons", *(["ranked"] if grid.ranked else [])]
    sets = {
        "of neuron sets": [one(name, 0, grid.alphas) for name in names],
        "of controls": [
            one(f"{name}/{kind}", draw, grid.control_grid)
            for name in names
            for kind in grid.controls
            for draw in range(grid.control_seeds)
        ],
        "of negative neurons": [one("negative", 0, grid.alphas)] if grid.negative else [],
        "of variants": [
            one(f"{name}@{variant}", 0, grid.suppressing if variant in ("generated", "risky") else (0.0, 1.0))
            for name in names
            for variant in grid.variants
        ],
    }
    changed = {part: sum(cell.alpha != 1.0 for cell in cells(found)) for part, found in sets.items()}
    untouched = sum(cell.alpha == 1.0 for cell in cells([one for found in sets.values() for one in found]))
    return {"untouched": untouched, **changed}


def _weights(experiment: Experiment) -> float | None:
    """Bytes of the model's weights in the precision they are computed in; None where its files are not on this disk."""
    from safetensors import safe_open

    folder = on_disk(experiment.model.chat)
    files = [] if folder is None else sorted(folder.glob("*.safetensors"))
    total = 0.0
    for file in files:
        with safe_open(file, framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                part = tensors.get_slice(name)
                wide = BITS.get(experiment.model.dtype, 32 if part.get_dtype() == "F32" else 16)
                total += float(np.prod(part.get_shape())) * wide / 8
    return total or None


def _pace(root: Path) -> dict[tuple[str, str], float]:
    """Seconds a shard, by stage and model, of what was computed into this store."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    file = root / TIMINGS
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            timed = json.loads(line)
        except ValueError:  # cut by a kill: one measurement less
            continue
        manifest = root / timed["stage"] / timed["key"] / "manifest.json"
        if manifest.exists():
            model = _model_of(json.loads(manifest.read_text(encoding="utf-8"))["reads"])
            took[timed["stage"], model].append(timed["seconds"] / timed["shards"])
    return {key: float(np.mean(seconds)) for key, seconds in took.items()}


def _model_of(reads: Mapping[str, Any]) -> str:
    model = reads.get("model")
    return str(model.get("weights", "")) if isinstance(model, Mapping) else ""
