"""What a run samples: listed once, for engines that sample all of it ahead, runs that stop early, and dry runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hneuro.experiment import Stage
from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import answers, sampling, stored
from hneuro.pipeline.detection import hidden
from hneuro.pipeline.known import about_facts
from hneuro.pipeline.run import Questions, Run
from hneuro.pipeline.sampling import Judged, Responses
from hneuro.responses.sampler import EngineSampler


@dataclass(frozen=True)
class Sampled:
    """A set of questions as it is sampled. `judged`: whether verdicts on it are a part of the method."""

    name: str  # for people
    model: LanguageModel
    questions: Questions
    most: int  # responses to a question that no set before has
    draw: Callable[[], Judged | Responses | str | None]  # from the store, or now; or why there are none
    judged: bool = True


def sets(run: Run) -> Iterator[Sampled]:
    """All that a run samples: whatever it needs later is in the store once each has been drawn."""
    setup, parts = run.experiment, run.asked.parts
    name, samples = run.asked.identification, setup.sampling.samples
    fit, report, evaluation = parts["fit"], parts["report"], run.asked.evaluation

    both = {part: parts[part] for part in ("fit", "select")}
    known = tuple(q for part in both.values() for q in part)
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
        facts = tuple(q for q in report if q.answerable)
        yield Sampled(f"{name} (known)", run.chat, facts, samples, lambda: sampling.all_right(run, run.chat, facts))
    if setup.mechanism.measured and setup.mechanism.samples:
        for label, asked in evaluation.items():

            def again(asked: Questions = asked) -> Responses | str:
                return sampling.repeated(run, run.chat, asked)

            yield Sampled(f"{label} (again)", run.chat, asked, setup.mechanism.samples - 1, again, judged=False)


def sample_ahead(run: Run) -> None:
    """All responses of an engine that holds the device, which it then leaves to the weights of the later stages."""
    sampler = run.experiment.sampling
    if isinstance(sampler, EngineSampler):
        try:
            for each in sets(run):
                each.draw()
        finally:
            sampler.close()


def until(run: Run, stage: Stage) -> str:
    """Everything up to and with `stage`, for all sets and models, as the whole run would make it."""
    sample_ahead(run)
    if stage == "contributions":
        lines = list(_contributions(run))
    else:
        lines = [line for each in sets(run) if (line := _drawn(run, each, stage))]
    head = f"Stopped after {stage}, as until={stage} asks. In {run.store.root.resolve()} there are now:"
    return "\n  ".join([head, *lines])


def _drawn(run: Run, of: Sampled, stage: Stage) -> str:
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


def _contributions(run: Run) -> Iterator[str]:
    identified = answers.identify(run)
    found = [(run.chat, part.name, part) for part in (identified.fit, identified.select)]
    if run.base is not None and (own := answers.base_fit(run, run.base)[0]) is not None:
        found.append((run.base, own.name, own))
    for model in (run.chat, run.base):
        if model is not None:
            found += [(model, answers.label_of(s.name, model), s) for s in answers.evaluation_sets(run, model)]
    for model, name, part in found:
        if model is run.chat:
            hidden(run, part)
        yield f"contributions of {len(part.labelled)} answers to {name}"
