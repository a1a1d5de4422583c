"""What a run would cost: seconds, bytes and answers, where a store has timed the like before; the sum over cells."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.known import KNOWN_FACTS, KnownBenchmark
from hneuro.causal.grid import SweepSettings, answers_to_a_prompt, chosen_items, columns_of
from hneuro.experiment import Experiment
from hneuro.making import TIMINGS
from hneuro.models.gguf import GgufSource
from hneuro.models.sources import on_disk, weight_files
from hneuro.pipeline.stored import SAMPLES_PER_SHARD
from hneuro.records import UserError
from hneuro.responses.vllm import VllmSampler

BITS = {"float32": 32, "float16": 16, "bfloat16": 16}
Pace = Mapping[tuple[str, str], float]  # seconds a record, by stage and model


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The alpha sweep of one benchmark, of which only the neurons are not known yet."""

    stage: str
    prompts: int | None  # None: its file is not here, or cannot be read, or they are all that the model knows
    columns: int  # answers to each prompt, at most
    seconds: float | None  # None: this model has answered nothing yet that was timed


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


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run would compute, as far as it can be seen."""

    needs: tuple[Need, ...]
    seconds: Mapping[Path, float | None]  # of each need; None where that is unknown
    sweeps: tuple[Asked, ...]
    weights: float | None  # bytes of its model; None where its files are not here


def asked(experiment: Experiment, there: Collection[str], pace: Pace, model: str) -> list[Asked]:
    """The sweeps that are still to be made. `there`: stages that are not; `model`: digest of its weights."""
    grid = experiment.intervention
    if not grid.swept or experiment.until:
        return []
    columns = answers_to_a_prompt(grid)
    found = []
    sizes = {b.name: (_prompts(b, grid), b.decoding.max_new_tokens) for b in experiment.benchmarks.values()}
    for name, (prompts, tokens) in (*sizes.items(), (KNOWN_FACTS, (grid.known_questions, experiment.answer_tokens))):
        stage = f"sweep-{name}"
        if stage in there:
            continue
        each = pace.get((stage, model), _as_responses(experiment, tokens, pace, model))
        seconds = None if each is None or prompts is None else each * prompts * columns
        found.append(Asked(stage=stage, prompts=prompts, columns=columns, seconds=seconds))
    return found


def _prompts(benchmark: Benchmark | KnownBenchmark, grid: SweepSettings) -> int | None:
    if isinstance(benchmark, KnownBenchmark):
        return grid.items  # at most; what a model knows is not known before
    try:
        return len(chosen_items(benchmark.items(), grid.items))
    except UserError:
        return None


def _as_responses(experiment: Experiment, tokens: int, pace: Pace, model: str) -> float | None:
    """Seconds an answer where no sweep was timed: those of a sampled response of the same engine, token by token."""
    sampling = experiment.sampling
    decoding = getattr(sampling, "decoding", None)
    each = pace.get(("responses", model))
    same = isinstance(sampling, VllmSampler) == (experiment.intervention.engine == "vllm")
    if each is None or decoding is None or not same:
        return None
    return each * tokens / float(decoding.max_new_tokens)


def sweeps_told(experiment: Experiment) -> str:
    """The size of the grid in a line."""
    grid = experiment.intervention
    if not grid.swept:
        return "alpha sweeps: none (intervention.swept=false)"
    columns = answers_to_a_prompt(grid)
    items = "all" if grid.items is None else f"at most {grid.items}"
    parts = ", ".join(f"{count} {name}" for name, count in columns_of(grid).items() if count)
    return (
        f"alpha sweeps: at most {columns} answers to each prompt ({parts}); {items} prompts of each of "
        f"{len(experiment.benchmarks)} benchmarks, and at most {columns * grid.known_questions:,} answers to "
        f"{grid.known_questions} known facts"
    )


def total(costs: Sequence[tuple[str, Cost]]) -> str:
    """The sum over cells, each with its identity: cells of the same identity are one run."""
    needs = {need.place: need for _, cost in costs for need in cost.needs}
    times = {place: seconds for _, cost in costs for place, seconds in cost.seconds.items()}
    sweeps = {(identity, one.stage): one.seconds for identity, cost in costs for one in cost.sweeps}
    weights = [cost.weights for _, cost in costs if cost.weights is not None]
    lines = [f"all {len(costs)} cells, what they share counted once:"]
    lines.append(f"  to compute: {_sum(list(times.values()), 'result')}")
    if sweeps:
        lines.append(
            f"  alpha sweeps: {_sum(list(sweeps.values()), 'sweep', 'about ')}, without what reads the answers"
        )
    disk = sum(need.bytes for need in needs.values() if need.bytes is not None)
    if disk:
        lines.append(f"  disk: {disk / 1e6:,.1f} MB, where it is known")
    held = f"{max(weights) / 1e6:,.1f} MB of weights" if weights else "unknown before the files of the models are here"
    lines.append(f"  memory: {held} in each process at a time, batches come on top")
    return "\n".join(lines)


def told_time(seconds: float | None, about: str = "") -> str:
    return "unknown" if seconds is None else f"{about}{seconds:.0f} s"


def _sum(times: Sequence[float | None], what: str, about: str = "") -> str:
    known = [seconds for seconds in times if seconds is not None]
    left = len(times) - len(known)
    what += "" if len(times) == 1 else "s"
    if not known:
        return f"{len(times)} {what}, " + ("time unknown" if times else "0 s")
    return f"{len(times)} {what}, {told_time(sum(known), about)}" + (f" and {left} of unknown time" if left else "")


def weights_of(experiment: Experiment) -> float | None:
    """Bytes of the model's weights in the precision they are computed in; None where its files are not on this disk."""
    from safetensors import safe_open

    source = experiment.model.chat
    if isinstance(source, GgufSource):
        header = source.header()
        return None if header is None else header.elements * BITS.get(experiment.model.dtype, 32) / 8
    folder = on_disk(source)
    files = () if folder is None else weight_files(folder)
    total = 0.0
    for file in files:
        with safe_open(file, framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is not a mapping
                part = tensors.get_slice(name)
                wide = BITS.get(experiment.model.dtype, 32 if part.get_dtype() == "F32" else 16)
                total += float(np.prod(part.get_shape())) * wide / 8
    return total or None


def paces(root: Path, rows_per_shard: int) -> tuple[Pace, Pace]:
    """Seconds a shard and, of answers, seconds a record, by stage and model, of what was computed into this store."""
    shards: dict[tuple[str, str], list[float]] = defaultdict(list)
    records: dict[tuple[str, str], list[float]] = defaultdict(list)
    file = root / TIMINGS
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            timed = json.loads(line)
        except ValueError:  # cut by a kill: one measurement less
            continue
        folder = root / timed["stage"] / timed["key"]
        if not (folder / "manifest.json").exists():
            continue
        reads = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["reads"]
        key, each = (timed["stage"], model_of(reads)), timed["seconds"] / timed["shards"]
        shards[key].append(each)
        if timed["stage"] == "responses" or timed["stage"].startswith("sweep-"):
            full = SAMPLES_PER_SHARD if timed["stage"] == "responses" else rows_per_shard
            with (folder / "records.jsonl").open("rb") as lines:
                count = sum(1 for _ in lines)
            records[key].append(each / max(1, min(count, full)))
    return _means(shards), _means(records)


def _means(found: Mapping[tuple[str, str], Sequence[float]]) -> Pace:
    return {key: float(np.mean(seconds)) for key, seconds in found.items()}


def model_of(reads: Mapping[str, Any]) -> str:
    model = reads.get("model")
    return str(model.get("weights", "")) if isinstance(model, Mapping) else ""
