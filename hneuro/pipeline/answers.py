"""From questions to measured answers: consistent and balanced ones to find the neurons with, others to test them on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.pipeline.checks import check_labelled, lacking
from hneuro.pipeline.measured import Answers, Trail, measure
from hneuro.pipeline.run import Questions, Run
from hneuro.pipeline.sampling import Judged, all_right, cut_note, one_each, several, stopped_step
from hneuro.probe.consistency import Pair, balance, consistent, single
from hneuro.questions.splits import in_turn, place_in_draw
from hneuro.records import Fact, LabelledResponse, Verdict
from hneuro.result_records import FunnelStep

FEWEST_REFUSED = 10  # made-up things: with fewer, an AUROC of the answers about them says nothing


@dataclass(frozen=True)
class Identified:
    """The two parts of the identification set that the probe is made from, and what the model knows of the second."""

    fit: Answers
    select: Answers
    facts: tuple[Fact, ...]  # of the select part
    fit_facts: tuple[Fact, ...]  # of the fit part, all of them
    known: Questions  # some of their questions
    natural: tuple[int, int]  # the wrong among the select part's first samples that are wrong or right; and all these
    trail: Trail


def label_of(name: str, model: LanguageModel) -> str:
    """A set as the funnel calls it."""
    return f"{name} (base model)" if model.is_base else name


def identify(run: Run) -> Identified:
    """Consistent, balanced answers of both parts, from several samples a question."""
    setup, model = run.experiment, run.chat
    parts = {name: run.asked.parts[name] for name in ("fit", "select")}
    sampled = several(run, model, parts)
    both = (*parts["fit"], *parts["select"])
    trail = _judged(both, sampled, stopped_step(run, sampled, both, "fit and select"))
    responses, pairs = sampled.responses, sampled.pairs()
    found: dict[str, Answers] = {}
    facts: dict[str, tuple[Fact, ...]] = {}
    natural = (0, 0)
    for name, part in parts.items():
        ids = {q.id for q in part}
        own = [(r, j) for r, j in pairs if r.question_id in ids]
        labelled, step = _consistent(run, part, own, name)
        trail += Trail((step,))
        check_labelled(labelled, name, trail.funnel)
        said = {(r.question_id, r.sample): r.text for r, _ in own}
        right = {r.question_id: said[r.question_id, r.sample].strip() for r in labelled if not r.hallucinated}
        first, _ = single(part, [pair for pair in own if pair[0].sample == 0], name)
        natural = (sum(r.hallucinated for r in first), len(first))
        asked_about = sorted((q for q in part if q.id in right), key=lambda q: place_in_draw(q.id, setup.seed))
        most = setup.intervention.facts if name == "select" else None
        facts[name] = tuple(Fact(question=q, said=right[q.id]) for q in asked_about[:most] if q.answerable)
        kept, step = _balanced(run, labelled, name)
        found[name] = measure(run, model, name, part, responses, kept, for_probe=name == "fit")
        trail += Trail((step,)) + found[name].trail
        check_labelled(found[name].labelled, name, trail.funnel)
    known = tuple(fact.question for fact in facts["select"][: setup.intervention.known_questions])
    return Identified(found["fit"], found["select"], facts["select"], facts["fit"], known, natural, trail)


def _consistent(
    run: Run, questions: Questions, judged: Sequence[Pair], name: str
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    sampling = run.experiment.sampling
    return consistent(questions, judged, name, sampling.samples, letters=sampling.letters)


def _balanced(
    run: Run, labelled: Sequence[LabelledResponse], name: str
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    return balance(labelled, name, run.experiment.seed, run.experiment.splits.most_per_class)


def held_out_facts(run: Run) -> tuple[Fact, ...]:
    """Questions of the report part that are answered rightly in every sample, of as many groups as there are."""
    asked = tuple(q for q in run.asked.parts["report"] if q.answerable)
    found = all_right(run, run.chat, asked)
    if found is None:
        return ()
    right: dict[str, Counter[str]] = {q.id: Counter() for q in asked}
    for response, judgement in found.pairs():
        if judgement.verdict is Verdict.CORRECT:
            right[response.question_id][response.text.strip()] += 1
    known = [q for q in in_turn(asked, run.experiment.seed) if right[q.id].total() == run.experiment.sampling.samples]
    wanted = known[: run.experiment.intervention.facts]  # more may be known than were asked for
    return tuple(Fact(question=q, said=right[q.id].most_common(1)[0][0]) for q in wanted)


def base_fit(run: Run, base: LanguageModel) -> tuple[Answers | None, Trail]:
    """The base model's consistent, balanced answers of the fit split; None where nobody asks for them.

    Also None, with the reason in the funnel, where they are too few: another model's lack of answers is a finding, and
    does not stop the run.
    """
    if not run.experiment.origin.base_probe:
        return None, Trail()
    fit, name = run.asked.parts["fit"], label_of("fit", base)
    said = several(run, base, {"fit": fit})
    labelled, step = _consistent(run, fit, said.pairs(), name)
    trail = _judged(fit, said, stopped_step(run, said, fit, name), step)
    if not lacking(labelled):
        kept, step = _balanced(run, labelled, name)
        found = measure(run, base, name, fit, said.responses, kept, for_probe=True)
        trail += Trail((step,)) + found.trail
        labelled = found.labelled
        if not lacking(labelled):
            return found, trail
    count, kind = lacking(labelled)[0]
    *before, last = trail.funnel
    why = replace(last, note=f"only {count} {kind} answers: no probe of the base model's own")
    return None, replace(trail, funnel=(*before, why))


def evaluation_sets(run: Run, model: LanguageModel) -> tuple[Answers, ...]:
    """One sample a question, balanced; the held-out part of the identification set comes first."""
    return tuple(_evaluation_set(run, model, name, asked) for name, asked in run.asked.evaluation.items())


def _evaluation_set(run: Run, model: LanguageModel, name: str, questions: Questions) -> Answers:
    label = label_of(name, model)
    responses = one_each(run, model, questions)
    judged = Judged(responses, stored.judge(run.store, run.experiment.judge, questions, responses))
    labelled, step = single(questions, judged.pairs(), label)
    trail = _judged(questions, judged, replace(step, note=cut_note(responses.value)))
    if all(q.answerable for q in questions):
        labelled, step = _balanced(run, labelled, label)
        trail += Trail((step,))
    elif 0 < sum(not r.hallucinated for r in labelled) < FEWEST_REFUSED:
        labelled, step = _without_refused(labelled, label)
        trail += Trail((step,))
    found = measure(run, model, label, questions, responses, labelled)
    return replace(found, name=name, trail=trail + found.trail)


def _without_refused(
    labelled: Sequence[LabelledResponse], name: str
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """The hallucinated answers alone: an AUROC against a handful of refusals is chance with an interval."""
    left = tuple(r for r in labelled if r.hallucinated)
    lost = {f"refused, fewer than the {FEWEST_REFUSED} that can be compared with": len(labelled) - len(left)}
    return left, FunnelStep(
        stage="refusals", dataset=name, unit="responses", entered=len(labelled), left=len(left), lost=lost
    )


def _judged(questions: Questions, said: Judged, *steps: FunnelStep) -> Trail:
    asked = {q.id: q for q in questions}
    judged = tuple((asked[response.question_id], response, judgement) for response, judgement in said.pairs())
    return Trail(steps, judged)
