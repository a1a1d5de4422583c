"""What the alpha sweeps of a run would ask: how many answers at most, and about how long they take."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from hneuro.causal.benchmarks.base import Benchmark
from hneuro.causal.benchmarks.known import KNOWN_FACTS, KnownBenchmark
from hneuro.causal.grid import SweepSettings, answers_to_a_prompt, chosen_items, columns_of
from hneuro.experiment import Experiment
from hneuro.records import UserError
from hneuro.responses.vllm import VllmSampler

Pace = Mapping[tuple[str, str], float]  # seconds a record, by stage and model


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The alpha sweep of one benchmark, of which only the neurons are not known yet."""

    stage: str
    prompts: int | None  # None: its file is not here, or cannot be read, or they are all that the model knows
    columns: int  # answers to each prompt, at most
    seconds: float | None  # None: this model has answered nothing yet that was timed


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
