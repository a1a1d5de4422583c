"""The first stages of all sets at once: for an engine that needs the device, and for runs that go on elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hneuro.experiment import Stage
from hneuro.records import Response
from hneuro.responses.sampler import EngineSampler
from hneuro.steps import answers, sampling, stored
from hneuro.steps.context import Context
from hneuro.steps.known import about_facts
from hneuro.steps.rivals import hidden
from hneuro.steps.sampling import Judged, Questions
from hneuro.store import Kept

Parts = Mapping[str, Questions]


def sample_ahead(run: Context, parts: Parts, others: Parts) -> None:
    """All responses of an engine that holds the device, which it then leaves to the weights of the later stages."""
    sampler = run.experiment.sampling
    if isinstance(sampler, EngineSampler):
        try:
            for _ in (*_sets(run, parts, others), *_held_out(run, parts), *_repeated(run, parts, others)):
                pass
        finally:
            sampler.close()


def until(run: Context, stage: Stage, parts: Parts, others: Parts) -> str:
    """Everything up to and with `stage`, for all sets and models, as the whole run would make it."""
    sample_ahead(run, parts, others)
    if stage == "contributions":
        lines = list(_contributions(run, parts, others))
    else:
        told = _verdicts if stage == "verdicts" else _responses
        lines = [told(run, found) for found in _sets(run, parts, others)]
        lines += [told(run, found) for found in _held_out(run, parts)]
        lines += [_responses(run, found) for found in _repeated(run, parts, others)]
    head = f"Stopped after {stage}, as until={stage} asks. In {run.store.root.resolve()} there are now:"
    return "\n  ".join([head, *lines])


@dataclass(frozen=True)
class _Set:
    name: str
    questions: Questions
    responses: Kept[tuple[Response, ...]]
    judged: Judged | None = None  # while they were sampled


def _sets(run: Context, parts: Parts, others: Parts) -> Iterator[_Set]:
    """Every set of questions as it is sampled: the identification set several times, the others once by each model."""
    name = run.experiment.identification.name
    known = (*parts["fit"], *parts["select"])
    found = sampling.several(run, run.chat, {part: parts[part] for part in ("fit", "select")})
    yield _Set(f"{name} (fit and select)", known, found.responses, found)
    if run.base is not None and run.experiment.origin.base_probe:
        label = answers.label_of(f"{name} (fit)", run.base)
        found = sampling.several(run, run.base, {"fit": parts["fit"]})
        yield _Set(label, parts["fit"], found.responses, found)
    for model in (run.chat, run.base):
        if model is not None:
            for label, questions in {name: parts["report"], **others}.items():
                yield _Set(answers.label_of(label, model), questions, sampling.one_each(run, model, questions))


def _held_out(run: Context, parts: Parts) -> Iterator[_Set]:
    """What says which held-out questions the model knows, where a benchmark asks about them."""
    if about_facts(run) and run.experiment.intervention.swept:
        asked = tuple(q for q in parts["report"] if q.answerable)
        found = sampling.all_right(run, run.chat, asked)
        yield _Set(f"{run.experiment.identification.name} (known)", asked, found.responses, found)


def _repeated(run: Context, parts: Parts, others: Parts) -> Iterator[_Set]:
    """More responses of the chat model to every evaluation set, which the mechanism table compares with each other."""
    setup = run.experiment
    if not setup.mechanism.measured or not setup.mechanism.samples:
        return
    for name, questions in {setup.identification.name: parts["report"], **others}.items():
        found = sampling.repeated(run, run.chat, questions)
        if not isinstance(found, str):
            yield _Set(f"{name} (again)", questions, found)


def _responses(_: Context, found: _Set) -> str:
    said = found.responses.value
    lost = Counter(response.lost for response in said if response.lost)
    reasons = "".join(f", {count} of them lost: {reason}" for reason, count in lost.items())
    return f"{len(said)} responses to {len(found.questions)} questions of {found.name}{reasons}"


def _verdicts(run: Context, found: _Set) -> str:
    if found.judged is not None:
        judged = found.judged.judgements
    else:
        judged = stored.judge(run.store, run.experiment.judge, found.questions, found.responses)
    counts = Counter(judgement.verdict.value for judgement in judged.value)
    return f"verdicts on {found.name}: {', '.join(f'{count} {verdict}' for verdict, count in sorted(counts.items()))}"


def _contributions(run: Context, parts: Parts, others: Parts) -> Iterator[str]:
    identified = answers.identify(run, run.chat, parts["fit"], parts["select"])
    for part in (identified.fit, identified.select):
        hidden(run, part)
        yield f"contributions of {len(part.labelled)} answers to {part.name}"
    own = answers.base_fit(run, run.base, parts["fit"]) if run.base is not None else None
    if own is not None:
        yield f"contributions of {len(own.labelled)} answers to {own.name}"
    for model in (run.chat, run.base):
        if model is not None:
            for measured in answers.evaluation_sets(run, model, parts["report"], others):
                if model is run.chat:
                    hidden(run, measured)
                yield f"contributions of {len(measured.labelled)} answers to {answers.label_of(measured.name, model)}"
