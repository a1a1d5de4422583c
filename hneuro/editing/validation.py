"""Does the edited checkpoint do what it was edited for, and what does it cost? The same prompts to both, paired."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.benchmarks.base import Benchmark, Measure
from hneuro.causal.curves import rates_apart, worth
from hneuro.causal.grid import NeuronSet
from hneuro.causal.perplexity import TEXT, perplexity_change, perplexity_of
from hneuro.experiment import Experiment
from hneuro.models.patch import Patch
from hneuro.models.sources import CheckpointSource
from hneuro.pipeline.answers import identify
from hneuro.pipeline.known import benchmarks_of
from hneuro.pipeline.run import QuestionSets, Run, load_questions
from hneuro.pipeline.sweeps import Openings, alpha_sweep, device_of_sweeps, text_losses
from hneuro.records import Outcome, Reading, SweepAnswer, UserError
from hneuro.result_records import Estimate, ResultRow
from hneuro.significance import mcnemar, signed_rank
from hneuro.statistics import grouped_mean, rate
from hneuro.store import Store

ORIGINAL, EDITED, HOOKED = "original", "edited", "hooked"
UNEDITED = NeuronSet(name=HOOKED, seed=0, neurons=(), alphas=(1.0,))  # a model as it is


Read = tuple[SweepAnswer, Reading]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a model answered on one benchmark, in the order of its prompts: as it is, and under a hook."""

    said: tuple[Read, ...]
    hooked: tuple[Read, ...]
    measures: Measure
    entities: tuple[str, ...]  # of the prompts
    openings: Openings | None  # of the prompts that go on after one, if there are any


@dataclass(frozen=True, kw_only=True)
class OriginalSide:
    """What the original answered on each benchmark, those about what it knows as they were put to it."""

    questions: QuestionSets  # of the run
    asked: Mapping[str, Asked]
    benchmarks: Sequence[Benchmark]
    text: NDArray[np.float32] | None  # its losses on the text of the run, [passage, 2]


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """A checkpoint that is not at hand: what it answered is in the store, and it cannot be asked again."""

    weights: str

    def identity(self) -> str:
        return self.weights

    def locate(self) -> str:
        raise UserError(
            "the store lacks what the model of the run answered, and --model names another: run it again, or use "
            "--no-validate"
        )

    def files(self) -> Path:
        return Path(self.locate())


def original_side(experiment: Experiment, weights: str, source: CheckpointSource, patch: Patch) -> OriginalSide:
    """The original on the run's benchmarks and on known facts, untouched and with the hook that does the edit.

    What the run has computed is taken from its store. The facts are those that the model of the run, whose identity is
    `weights`, knows.
    """
    if not Path(experiment.store_dir).is_dir():
        raise UserError(
            f"the store of the run, {experiment.store_dir}, is not there: validate where the run was made, or use "
            "--no-validate"
        )
    if patch.gains and experiment.intervention.engine == "vllm":
        raise UserError("gains of each neuron cannot be compared by intervention.engine=vllm: use --no-validate")
    asked = load_questions(experiment)
    this = _run(experiment, asked, source)
    run = _run(experiment, asked, source if source.identity() == weights else Remembered(weights=weights))
    run.chat.tokenizer = this.chat.tokenizer  # of the same model family, or the store has no answer to these prompts
    identified = identify(run)
    with device_of_sweeps(run):
        benchmarks = benchmarks_of(run, identified)[0]
    hooked = NeuronSet(name=HOOKED, seed=0, neurons=patch.neurons, alphas=(patch.alpha, 1.0))
    if patch.gains:
        hooked = replace(hooked, alphas=(0.0, 1.0), kind="gains", values=patch.gains)
    said = _ask(this, benchmarks, hooked, {})
    return OriginalSide(questions=asked, asked=said, benchmarks=benchmarks, text=_read(this))


def validate(experiment: Experiment, original: OriginalSide, edited: CheckpointSource) -> tuple[ResultRow, ...]:
    """The edited checkpoint, loaded like any other, against the original, as tidy rows (stage "validation").

    Where a prompt continues after a first reply, both go on after the original's, as in the sweep of the run.

    Changes are edited minus original, paired by prompt, with a bootstrap over entities; p: McNemar (exact) for answers,
    Wilcoxon signed rank for probabilities and the text. "as_hooked": prompts that it answers in the very words of the
    hooked original.
    """
    gc.collect()  # the original's weights are let go before the edited ones come
    run = _run(experiment, original.questions, edited)
    openings = {name: before.openings for name, before in original.asked.items()}
    asked = _ask(run, original.benchmarks, UNEDITED, openings)
    told = [(name, _measured(before, asked[name])) for name, before in original.asked.items()]
    return tuple(
        ResultRow.of(estimate, stage="validation", metric=kind, dataset=name, condition=condition, p_value=p)
        for name, measured in (*told, (TEXT, _in_text(original.text, _read(run))))
        for condition, kind, estimate, p in measured
    )


def _run(experiment: Experiment, asked: QuestionSets, source: CheckpointSource) -> Run:
    model = replace(experiment.model, chat=source, base=None)
    return Run(replace(experiment, model=model), Store(Path(experiment.store_dir)), asked)


def _ask(
    run: Run, benchmarks: Sequence[Benchmark], swept: NeuronSet, openings: Mapping[str, Openings | None]
) -> Mapping[str, Asked]:
    """A model's answers at alpha 1, and under the hook. `openings`: by benchmark, those that are not its own."""
    asked = {}
    with device_of_sweeps(run):
        for benchmark in benchmarks:
            found = alpha_sweep(run, benchmark, [swept], openings=openings.get(benchmark.name))
            read = list(zip(found.answers.value, found.readings.value, strict=True))
            asked[benchmark.name] = Asked(
                said=tuple(one for one in read if one[0].alpha == 1.0),
                hooked=tuple(one for one in read if one[0].alpha != 1.0),
                measures=benchmark.measures,
                entities=tuple(str(item.meta.get("entity", item.id)) for item in found.items),
                openings=found.openings,
            )
    return asked


def _read(run: Run) -> NDArray[np.float32] | None:
    """A model's losses on the text of the run."""
    found = text_losses(run, [UNEDITED])
    return None if found is None else found[0]


Measured = tuple[str, str, Estimate, float | None]  # condition, metric, estimate, p


def _measured(before: Asked, after: Asked) -> Iterator[Measured]:
    assert [a.item_id for a, _ in before.said] == [a.item_id for a, _ in after.said]
    groups, metric, values = np.array(before.entities), before.measures, worth(before.measures)
    for condition, said in ((ORIGINAL, before.said), (EDITED, after.said)):
        counted = [values[r.outcome] for _, r in said if r.outcome is not Outcome.EXCLUDED]
        yield condition, metric, rate(int(sum(counted)), len(counted)), None
        for kind, share in rates_apart(said):
            yield condition, kind, share, None
    pairs = list(zip(before.said, after.said, strict=True))
    table = np.array([[values[r.outcome] for _, r in pair] for pair in pairs])
    both = ~np.isnan(table).any(axis=1)
    yield from _change(metric, table[both], groups[both], mcnemar)
    if pairs and all(a.p_comply is not None for pair in pairs for a, _ in pair):
        odds = np.array([[a.p_comply for a, _ in pair] for pair in pairs], dtype=np.float64)
        for column, condition in enumerate((ORIGINAL, EDITED)):
            yield condition, "p_comply", grouped_mean(odds[:, column], groups, within=(0.0, 1.0)), None
        yield from _change("p_comply", odds, groups, signed_rank)
    alike = [a.replies == b.replies for (a, _), (b, _) in zip(before.hooked, after.said, strict=True)]
    yield EDITED, "as_hooked", rate(sum(alike), len(alike)), None


def _in_text(before: NDArray[np.float32] | None, after: NDArray[np.float32] | None) -> Iterator[Measured]:
    if before is not None and after is not None:
        for condition, losses in ((ORIGINAL, before), (EDITED, after)):
            yield condition, "perplexity", perplexity_of(losses), None
        yield EDITED, "change_perplexity", *perplexity_change(before, after)


def _change(
    metric: str,
    values: NDArray[np.float64],
    groups: NDArray[np.str_],
    test: Callable[[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]], float],
) -> Iterator[Measured]:
    """values [prompt, (original, edited)]."""
    if len(values):
        before, after = values.T
        yield EDITED, f"change_{metric}", grouped_mean(after - before, groups), test(before, after, groups)
