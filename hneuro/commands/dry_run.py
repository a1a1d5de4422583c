"""`hneuro run --dry-run`: what would be computed, what is in the store already, and how long it may take.

The method is rehearsed on the store: every stage that is there is read, and the first that is not ends the rehearsal.
What follows depends on its result and is only named.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from hneuro.causal.benchmarks.known import KNOWN_FACTS
from hneuro.commands.costs import Cost, Need, asked, model_of, paces, sweeps_told, told_time, total, weights_of
from hneuro.experiment import Experiment
from hneuro.making import Work
from hneuro.pipeline import checks, early
from hneuro.pipeline.method import run, run_until
from hneuro.pipeline.run import Run
from hneuro.records import UserError
from hneuro.states import THEIRS
from hneuro.store import Kept, Store
from hneuro.sweeps.plan import Plan

BEHIND = (
    *("responses", "verdicts", "neurons", "spans", "contributions", "probe"),
    *("stability", "detection", "alpha sweeps", "drift", "origin"),
)


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
        raise NotThereError(Need(stage=stage, place=place, shards=shards, done=done, bytes=size, model=model_of(reads)))


def estimate(plan: Plan | None, experiments: Mapping[int, Experiment]) -> int:
    """Prints the rehearsal of one experiment, or of the cells of a sweep. 2 where one of them would fail, else 0."""
    first: dict[Path, int] = {}  # who of the cells would compute it
    blocks: dict[str, list[int]] = defaultdict(list)  # the cells of which the same is to be said
    costs = {}
    for number, experiment in experiments.items():
        store = Rehearsal(Path(experiment.store_dir))
        try:
            cost = costs[number] = _cost(experiment, store)
        except UserError as fault:
            blocks[f"would fail: {fault}"].append(number)
            continue
        owners = {need.place: first.setdefault(need.place, number) for need in cost.needs}
        blocks[_told(experiment, store, cost, {place for place, n in owners.items() if n != number})].append(number)
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
        print(total([(experiments[number].identity, cost) for number, cost in costs.items()]))
    failing = len(costs) < len(experiments) or (plan is not None and any(cell.error for cell in plan.cells))
    return THEIRS if failing else 0


def _cost(experiment: Experiment, store: Rehearsal) -> Cost:
    experiment.check_inputs()
    this, needs = needed(experiment, store)
    shards, records = paces(store.root, experiment.intervention.rows_per_shard)
    there = {need.stage for need in needs} | set(store.tally.loaded)  # the first has a row of its own
    if experiment.choice.suppresses:
        there.discard(f"sweep-{KNOWN_FACTS}")  # it was found for the choice of C, which sweeps them as well
    sweeps = asked(experiment, there, records, model_of({"model": this.chat.identity})) if needs else []
    seconds = {
        need.place: None if each is None else (need.shards - need.done) * each
        for need in needs
        for each in [shards.get((need.stage, need.model))]
    }
    return Cost(needs=tuple(needs), seconds=seconds, sweeps=tuple(sweeps), weights=weights_of(experiment))


def needed(experiment: Experiment, store: Rehearsal) -> tuple[Run, list[Need]]:
    """What would be computed first: the responses of all sets, or else the one result that the method stops at."""
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


def _told(experiment: Experiment, store: Store, cost: Cost, shared: Collection[Path]) -> str:
    loaded = Counter(store.tally.loaded)
    lines = [f"in {store.root}: {sum(loaded.values())} stages are there, and are read"]
    if not cost.needs:
        return "\n".join([*lines, "nothing would be computed but the report"])
    rows = []
    for need in cost.needs:
        time = "shared with an earlier cell" if need.place in shared else told_time(cost.seconds[need.place])
        disk = "" if need.bytes is None else f"{need.bytes / 1e6:,.1f} MB"
        rows.append([need.stage, need.what, f"{need.shards - need.done} of {need.shards}", time, disk])
    for sweep in cost.sweeps:
        prompts = "?" if sweep.prompts is None else f"{sweep.prompts:,}"
        what = f"at most {prompts} x {sweep.columns} answers"
        rows.append([sweep.stage, what, "", told_time(sweep.seconds, "about "), ""])
    heads = ["to compute", "", "shards", "time", "disk"]
    lines += ["", tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True), ""]
    if any(row[3] == "unknown" for row in rows):
        lines.append("time is unknown where this store has never seen the stage computed with the same model")
    last = max((n for n, stage in enumerate(BEHIND) if any(need.stage == stage for need in cost.needs)), default=0)
    lines.append(f"behind that, not known before it is there: {', '.join(BEHIND[last + 1 :]) or 'the report'}")
    held = "unknown before its files are here" if cost.weights is None else f"{cost.weights / 1e6:,.1f} MB"
    lines += [sweeps_told(experiment), f"memory: the weights of the model take {held}, batches come on top"]
    return "\n".join(lines)
