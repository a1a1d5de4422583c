"""From questions to measured answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hneuro.models.language_model import LanguageModel
from hneuro.questions.base import load_together
from hneuro.questions.splits import assert_disjoint, grouped, in_turn, place_in_draw, split_by_group
from hneuro.records import Fact, LabelledResponse, Verdict
from hneuro.result_records import FunnelStep
from hneuro.steps import stored
from hneuro.steps.checks import check_labelled, lacking
from hneuro.steps.consistency import Pair, balance, consistent, single
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers, measure
from hneuro.steps.sampling import Judged, Questions, all_right, cut_note, one_each, several, stopped_step

FEWEST_REFUSED = 10  # made-up things, below which the answers about them have nothing to stand against


@dataclass(frozen=True)
class Identified:
    """The two parts of the identification set that the probe is made from, and what the model knows of the second."""

    fit: Answers
    select: Answers
    facts: tuple[Fact, ...]  # of the select part
    known: Questions  # some of their questions
    natural: tuple[int, int]  # the wrong among the select part's first samples that are wrong or right; and all these


def load_questions(run: Context) -> tuple[Mapping[str, Questions], Mapping[str, Questions]]:
    """The identification set in its three parts, and the other evaluation sets by name; all of them disjoint."""
    setup = run.experiment
    first = setup.identification.name
    found, steps, origins = load_together({first: setup.identification, **setup.evaluation}, setup.limit)
    others = {}
    for name, step in zip(found, steps, strict=True):
        others[name], joined = grouped(found[name], setup.splits.by, name)
        run.funnel += [step, joined] if name == first else [step]
    run.data.update(origins)
    parts = split_by_group(others.pop(first), setup.splits, setup.seed)
    assert_disjoint({**parts, **others})
    run.sizes = {name: len(questions) for name, questions in {**parts, **others}.items()}
    return parts, others


def label_of(name: str, model: LanguageModel) -> str:
    """A set as the funnel calls it."""
    return f"{name} (base model)" if model.is_base else name


def identify(run: Context, model: LanguageModel, fit: Questions, select: Questions) -> Identified:
    """Consistent, balanced answers of both parts, from several samples a question."""
    setup = run.experiment
    sampled = several(run, model, {"fit": fit, "select": select})
    run.funnel.append(stopped_step(run, sampled, (*fit, *select), "fit and select"))
    responses, pairs = sampled.responses, sampled.pairs()
    _remember(run, (*fit, *select), pairs)
    found: dict[str, Answers] = {}
    facts: tuple[Fact, ...] = ()
    natural = (0, 0)
    for name, part in (("fit", fit), ("select", select)):
        ids = {q.id for q in part}
        own = [(r, j) for r, j in pairs if r.question_id in ids]
        labelled = _consistent(run, part, own, name)
        check_labelled(labelled, name, run.funnel)
        said = {(r.question_id, r.sample): r.text for r, _ in own}
        right = {r.question_id: said[r.question_id, r.sample].strip() for r in labelled if not r.hallucinated}
        once = [pair for pair in own if pair[0].sample == 0]
        first, _ = single(part, [r for r, _ in once], [j for _, j in once], name)
        natural = (sum(r.hallucinated for r in first), len(first))
        asked_about = sorted((q for q in part if q.id in right), key=lambda q: place_in_draw(q.id, setup.seed))
        facts = tuple(
            Fact(question=q, said=right[q.id]) for q in asked_about[: setup.intervention.facts] if q.answerable
        )
        kept = _balanced(run, labelled, name)
        found[name] = measure(run, model, name, part, responses, kept, for_probe=name == "fit")
        check_labelled(found[name].labelled, name, run.funnel)
    known = tuple(fact.question for fact in facts[: setup.intervention.known_questions])
    return Identified(found["fit"], found["select"], facts, known, natural)


def _consistent(run: Context, questions: Questions, pairs: Sequence[Pair], name: str) -> tuple[LabelledResponse, ...]:
    said, judged = [response for response, _ in pairs], [judgement for _, judgement in pairs]
    sampling = run.experiment.sampling
    labelled, step = consistent(questions, said, judged, name, sampling.samples, letters=sampling.letters)
    run.funnel.append(step)
    return labelled


def _balanced(run: Context, labelled: Sequence[LabelledResponse], name: str) -> tuple[LabelledResponse, ...]:
    kept, step = balance(labelled, name, run.experiment.seed, run.experiment.splits.most_per_class)
    run.funnel.append(step)
    return kept


def held_out_facts(run: Context, model: LanguageModel, questions: Questions) -> tuple[Fact, ...]:
    """Questions of the report part that are answered rightly in every sample, of as many groups as there are."""
    asked = tuple(q for q in questions if q.answerable)
    found = all_right(run, model, asked)
    if found is None:
        return ()
    right: dict[str, Counter[str]] = {q.id: Counter() for q in asked}
    for response, judgement in found.pairs():
        if judgement.verdict is Verdict.CORRECT:
            right[response.question_id][response.text.strip()] += 1
    known = [q for q in in_turn(asked, run.experiment.seed) if right[q.id].total() == run.experiment.sampling.samples]
    wanted = known[: run.experiment.intervention.facts]  # more may be known than were asked for
    return tuple(Fact(question=q, said=right[q.id].most_common(1)[0][0]) for q in wanted)


def base_fit(run: Context, base: LanguageModel, fit: Questions) -> Answers | None:
    """The base model's consistent, balanced answers of the fit split; None where nobody asks for them.

    Also None, with the reason in the funnel, where they are too few: another model's lack of answers is a finding, and
    does not stop the run.
    """
    setup = run.experiment
    if not setup.origin.base_probe:
        return None
    name = label_of("fit", base)
    said = several(run, base, {"fit": fit})
    run.funnel.append(stopped_step(run, said, fit, name))
    responses, pairs = said.responses, said.pairs()
    _remember(run, fit, pairs)
    labelled = _consistent(run, fit, pairs, name)
    if not lacking(labelled):
        kept = _balanced(run, labelled, name)
        found = measure(run, base, name, fit, responses, kept, for_probe=True)
        labelled = found.labelled
        if not lacking(labelled):
            return found
    count, kind = lacking(labelled)[0]
    run.funnel[-1] = replace(run.funnel[-1], note=f"only {count} {kind} answers: no probe of the base model's own")
    return None


def evaluation_sets(
    run: Context, model: LanguageModel, report: Questions, others: Mapping[str, Questions]
) -> tuple[Answers, ...]:
    """One sample a question, balanced; the held-out part of the identification set comes first."""
    setup = run.experiment
    sets = []
    for name, questions in {setup.identification.name: report, **others}.items():
        label = label_of(name, model)
        responses = one_each(run, model, questions)
        judged = Judged(responses, stored.judge(run.store, setup.judge, questions, responses)).pairs()
        _remember(run, questions, judged)
        labelled, step = single(questions, responses.value, [j for _, j in judged], label)
        run.funnel.append(replace(step, note=cut_note(responses.value)))
        if all(q.answerable for q in questions):
            labelled = _balanced(run, labelled, label)
        elif 0 < sum(not r.hallucinated for r in labelled) < FEWEST_REFUSED:
            labelled, step = _without_refused(labelled, label)
            run.funnel.append(step)
        sets.append(replace(measure(run, model, label, questions, responses, labelled), name=name))
    return tuple(sets)


def _without_refused(
    labelled: Sequence[LabelledResponse], name: str
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """The hallucinated answers alone: an AUROC against a handful of refusals is chance with an interval."""
    left = tuple(r for r in labelled if r.hallucinated)
    lost = {f"refused, fewer than the {FEWEST_REFUSED} that can be compared with": len(labelled) - len(left)}
    return left, FunnelStep(
        stage="refusals", dataset=name, unit="responses", entered=len(labelled), left=len(left), lost=lost
    )


def _remember(run: Context, questions: Questions, pairs: Sequence[Pair]) -> None:
    """For the agreement of several judges."""
    asked = {q.id: q for q in questions}
    run.judged += [(asked[response.question_id], response, judgement) for response, judgement in pairs]
