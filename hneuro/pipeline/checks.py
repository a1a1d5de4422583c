"""What can be known to fail is refused before the hours of sampling, not after them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hneuro.causal.benchmarks.known import KnownBenchmark
from hneuro.causal.values import Values
from hneuro.neurons import NeuronSpace
from hneuro.pipeline import stored
from hneuro.pipeline.run import Run
from hneuro.probe.attribution import Attribution
from hneuro.probe.selectors import Ranking
from hneuro.records import LabelledResponse, Question, UserError
from hneuro.result_records import FunnelStep
from hneuro.spans.base import NONE_STATED


@runtime_checkable
class Checked(Protocol):
    """A part that needs something: a key, a file, a server."""

    def check(self) -> None:
        """`UserError` where that is missing."""


ENOUGH = 2  # responses of each kind, below which nothing can be fitted


def check_questions(run: Run) -> None:
    """The models can be asked these questions. Loads their tokenizers alone."""
    for model in (run.chat, run.base):
        if model is not None:
            run.experiment.sampling.check(model, run.asked.all())


def check_parts(run: Run) -> None:
    """Whoever reads the responses can work."""
    setup = run.experiment
    for part in (setup.judge, setup.span, setup.mechanism, setup.text, *setup.benchmarks.values()):
        if isinstance(part, Checked):
            part.check()


def check_neurons(run: Run) -> None:
    """The model has enough neurons for the sets that the config compares. Loads its weights, if nobody has before."""
    setup = run.experiment
    size = stored.neuron_space(run.store, run.chat).size
    wanted = {"intervention.ranked": setup.intervention.ranked}
    if isinstance(setup.probe, Ranking | Attribution):
        wanted["probe.counts"] = max(setup.probe.counts)
    for key, count in wanted.items():
        if 2 * count > size:
            raise UserError(
                f"{key}: {count} neurons and as many random ones to compare with are more than the "
                f"{size} that {setup.model.name} has"
            )


def check_engine(run: Run) -> None:
    """The engine of the sweep can edit this model, as far as its config tells."""
    if run.experiment.intervention.engine == "transformers":
        return
    here, instead = "intervention.engine=vllm", "choose intervention.engine=transformers"
    space = stored.shape_of(run.store, run.chat)
    if space.experts > 1 or space.layers:
        raise UserError(
            f"{here}: {run.chat.source.locate()} is a mixture of experts, whose neurons vLLM does not show, or has "
            f"layers of different width: {instead}"
        )


def check_origin(run: Run) -> None:
    """The neurons of the base model and of each checkpoint are the chat model's, and they read the same tokens."""
    if run.base is None:
        return
    chat = stored.shape_of(run.store, run.chat)
    words = run.base.tokenizer.get_vocab()
    earlier = {f"model.checkpoints.{name}": model for name, model in run.checkpoints.items()}
    for key, model in ({"model.base": run.base} | earlier).items():
        try:
            space = stored.shape_of(run.store, model)
            other = model.tokenizer.get_vocab() != words
        except UserError as fault:
            raise UserError(f"{key}: {fault}") from fault
        if space != chat:
            raise UserError(
                f"{key}: {model.source.locate()} has {_size(space)}, and the chat model {run.chat.source.locate()} has "
                f"{_size(chat)}: name a checkpoint that the chat model was trained from"
            )
        if other:
            raise UserError(
                f"{key}: {model.source.locate()} has another vocabulary than the base model "
                f"{run.base.source.locate()}, whose answers it would read: name a checkpoint of the same training"
            )


def _size(space: NeuronSpace) -> str:
    return f"{space.n_layers} layers of {'up to ' * bool(space.layers)}{space.width} FFN neurons"


def check_benchmarks(run: Run) -> None:
    """The prompts of every benchmark can be read, or made of the identification set."""
    if run.experiment.by_effect:
        planting(run)
    for name, benchmark in run.experiment.benchmarks.items():
        if isinstance(benchmark, KnownBenchmark):
            _check_values(name, [question for part in run.asked.parts.values() for question in part])
            continue
        ids = [item.id for item in benchmark.items()]
        if not ids:
            raise UserError(f"benchmark.{name} has no prompts: check its path and what is chosen from it")
        if len(set(ids)) < len(ids):
            twice = max(ids, key=ids.count)
            raise UserError(f"benchmark.{name}: two of its prompts have the id {twice}, which must differ")


def planting(run: Run) -> KnownBenchmark:
    """The benchmark that a selection by effect names; `UserError` where the run has none of its name or framing."""
    probe = run.experiment.probe
    assert isinstance(probe, Attribution)
    known = {n: part for n, part in run.experiment.benchmarks.items() if isinstance(part, KnownBenchmark)}
    if probe.benchmark not in known:
        raise UserError(
            f"probe.benchmark={probe.benchmark}: the run has no such benchmark about known facts "
            f"({', '.join(known) or 'none'}): choose benchmark=known, or another probe"
        )
    framings = known[probe.benchmark].framings
    if probe.framing not in framings:
        raise UserError(f"probe.framing={probe.framing}: {probe.benchmark} has {', '.join(framings)}")
    return known[probe.benchmark]


def _check_values(name: str, questions: Sequence[Question]) -> None:
    """Some question has a wrong value to plant."""
    values = Values.of(questions)
    if not any(q.answers and q.answerable and not q.options and values.planted(q) for q in questions):
        raise UserError(
            f"benchmark.{name} plants the answer of another question, and no question of dataset.identification has a "
            "second answer in words of its kind: choose another benchmark, or benchmark=none"
        )


def check_labelled(labelled: Sequence[LabelledResponse], part: str, funnel: Sequence[FunnelStep]) -> None:
    """Enough answers of both kinds in a part of the identification set; the message says where the others went."""
    for count, kind in lacking(labelled):
        unjudged = (
            f"{lost} of {step.entered} {step.unit} are {reason}"
            for step in funnel
            for reason, lost in step.lost.items()
            if step.dataset == part and reason.startswith("unjudged") and 2 * lost > step.entered
        )
        cause = next(unjudged, "more questions are needed, or ones that the model knows in part")
        lost = "; ".join(f"{step.stage} {_losses(step)}" for step in funnel if step.dataset == part)
        raise UserError(f"only {count} {kind} answers in the {part} split: {cause} ({lost})")


def lacking(labelled: Sequence[LabelledResponse]) -> list[tuple[int, str]]:
    """The kinds of answers of which there are too few, and how many there are."""
    kinds = (("hallucinated", True), ("faithful", False))
    found = [(sum(r.hallucinated == hallucinated for r in labelled), kind) for kind, hallucinated in kinds]
    return [(count, kind) for count, kind in found if count < ENOUGH]


def check_spans(step: FunnelStep, allowed: float) -> None:
    """Not more answers without a span than the config allows: what is lost is seldom lost at random.

    Responses that state no answer of the kind have none to locate; the funnel counts them.
    """
    lost = sum(count for reason, count in step.lost.items() if not reason.startswith(NONE_STATED))
    if lost > allowed * step.entered:
        share = lost / step.entered
        raise UserError(
            f"{step.dataset}: the answer was not located in {lost} of {step.entered} labelled responses ({share:.1%}, "
            f"max_span_loss is {allowed:.1%}): {_reasons(step)}; choose another span, or allow the loss with "
            f"max_span_loss={math.ceil(100 * share) / 100:g}"
        )


def _losses(step: FunnelStep) -> str:
    return f"{step.entered} -> {step.left}" + (f": {_reasons(step)}" if step.lost else "")


def _reasons(step: FunnelStep) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in step.lost.items())
