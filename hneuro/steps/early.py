"""What a run samples: listed once, for engines that sample all of it ahead, runs that stop early, and dry runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hneuro.experiment import Stage
from hneuro.models.language_model import LanguageModel
from hneuro.responses.sampler import EngineSampler
from hneuro.steps import answers, sampling, stored
from hneuro.steps.context import Context
from hneuro.steps.known import about_facts
from hneuro.steps.sampling import Judged, Questions, Responses
from hneuro.steps.trials import hidden

Parts = Mapping[str, Questions]


@dataclass(frozen=True)
class Sampled:
    """A set of questions as it is sampled. `judged`: whether verdicts on it are a part of the method."""

    name: str  # for people
    model: LanguageModel
    questions: Questions
    most: int  # responses to a question that no set before has
    draw: Callable[[], Judged | Responses | str | None]  # from the store, or now; or why there are none
    judged: bool = True


def sets(run: Context, parts: Parts, others: Parts) -> Iterator[Sampled]:
    """All that a run samples: whatever it needs later is in the store once each has been drawn."""
    setup = run.experiment
    name, samples = setup.identification.name, setup.sampling.samples
    fit, known = parts["fit"], (*parts["fit"], *parts["select"])
    evaluation = {name: parts["report"], **others}

    both = {part: parts[part] for part in ("fit", "select")}
    yield Sampled(f"{name} (fit and select)", run.chat, known, samples, lambda: sampling.several(run, run.chat, both))
    if (base := run.base) is not None and setup.origin.base_probe:
        label = answers.label_of(f"{name} (fit)", base)
        yield Sampled(label, base, fit, samples, lambda: sampling.several(run, base, {"fit": fit}))
    for model in (run.chat, run.base):
        for label, asked in evaluation.items() if model is not None else ():
            assert model is not None

            def one_each(model: LanguageModel = model, asked: Questions = asked) -> Responses:
                return sampling.one_each(run, model, asked)

            yield Sampled(answers.label_of(label, model), model, asked, 1, one_each)
    if about_facts(run) and setup.intervention.swept:
        facts = tuple(q for q in parts["report"] if q.answerable)
        yield Sampled(f"{name} (known)", run.chat, facts, samples, lambda: sampling.all_right(run, run.chat, facts))
    if setup.mechanism.measured and setup.mechanism.samples:
        for label, asked in evaluation.items():

            def again(asked: Questions = asked) -> Responses | str:
                return sampling.repeated(run, run.chat, asked)

            yield Sampled(f"{label} (again)", run.chat, asked, setup.mechanism.samples - 1, again, judged=False)


def sample_ahead(run: Context, parts: Parts, others: Parts) -> None:
    """All responses of an engine that holds the device, which it then leaves to the weights of the later stages."""
    sampler = run.experiment.sampling
    if isinstance(sampler, EngineSampler):
        try:
            for each in sets(run, parts, others):
                each.draw()
        finally:
            sampler.close()


def until(run: Context, stage: Stage, parts: Parts, others: Parts) -> str:
    """Everything up to and with `stage`, for all sets and models, as the whole run would make it."""
    sample_ahead(run, parts, others)
    if stage == "contributions":
        lines = list(_contributions(run, parts, others))
    else:
        lines = [line for each in sets(run, parts, others) if (line := _drawn(run, each, stage))]
    head = f"Stopped after {stage}, as until={stage} asks. In {run.store.root.resolve()} there are now:"
    return "\n  ".join([head, *lines])


def _drawn(run: Context, of: Sampled, stage: Stage) -> str:
    """What there is of a set then; "" where it cannot be sampled."""
    found = of.draw()
    if found is None or isinstance(found, str):
        return ""
    responses = found.responses if isinstance(found, Judged) else found
    if stage == "responses" or not of.judged:
        lost = Counter(response.lost for response in responses.value if response.lost)
        reasons = "".join(f", {count} of them lost: {reason}" for reason, count in lost.items())
        return f"{len(responses.value)} responses to {len(of.questions)} questions of {of.name}{reasons}"
    own = found.judgements if isinstance(found, Judged) else None
    judged = own or stored.judge(run.store, run.experiment.judge, of.questions, responses)
    counts = Counter(judgement.verdict.value for judgement in judged.value)
    return f"verdicts on {of.name}: {', '.join(f'{count} {verdict}' for verdict, count in sorted(counts.items()))}"


def _contributions(run: Context, parts: Parts, others: Parts) -> Iterator[str]:
    identified = answers.identify(run, run.chat, parts["fit"], parts["select"])
    own = answers.base_fit(run, run.base, parts["fit"]) if run.base is not None else None
    found = [(run.chat, part) for part in (identified.fit, identified.select)]
    found += [(run.base, own)] if run.base is not None and own is not None else []
    for model in (run.chat, run.base):
        if model is not None:
            found += [(model, part) for part in answers.evaluation_sets(run, model, parts["report"], others)]
    for model, part in found:
        if model is run.chat:
            hidden(run, part)
        name = part.name if part is own else answers.label_of(part.name, model)
        yield f"contributions of {len(part.labelled)} answers to {name}"
