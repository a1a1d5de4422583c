"""Answers with everything that was measured about them: what detection, origin and the report are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hneuro.contributions.regions import region_positions
from hneuro.detection.scored import AnswerSet, baseline_features
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import Contributions, NeuronSpace, ProbeRows
from hneuro.pipeline import stored
from hneuro.pipeline.checks import check_spans
from hneuro.pipeline.run import Questions, Run
from hneuro.probe.labeling import Labeling, region_rows
from hneuro.records import AnswerSpan, Judgement, LabelledResponse, Question, Response
from hneuro.result_records import FunnelStep
from hneuro.spans.base import loss_step
from hneuro.store import Kept


@dataclass(frozen=True)
class Trail:
    """What was lost and what was judged on the way."""

    funnel: tuple[FunnelStep, ...] = ()
    judged: tuple[tuple[Question, Response, Judgement], ...] = ()  # for the agreement of several judges

    def __add__(self, later: Trail) -> Trail:
        return Trail(self.funnel + later.funnel, self.judged + later.judged)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Labelled responses of one set of questions, with their spans located and their contributions extracted."""

    name: str
    labelled: tuple[LabelledResponse, ...]
    questions: Mapping[str, Question]
    responses: Mapping[tuple[str, int], Response]
    spans: Mapping[tuple[str, int], AnswerSpan]
    found: Contributions
    drawn: frozenset[tuple[str, int]]  # (question_id, sample) of all that were looked at, those without a span as well
    tested: str  # the region that detectors read
    digest: str  # of the contributions and that region
    trail: Trail = Trail()

    @property
    def store_key(self) -> list[Any]:
        return [self.name, self.digest, self.labelled]

    @property
    def space(self) -> NeuronSpace:
        return self.found.space

    def training(self, labeling: Labeling) -> ProbeRows:
        """The rows that a probe learns from."""
        return labeling.rows(self.found, self.labelled)

    def rows(self) -> ProbeRows:
        """One row a labelled response, of the region that detectors read."""
        return region_rows(self.found, self.labelled, self.tested)

    def answer_set(self) -> AnswerSet:
        features = baseline_features(self.labelled, self.responses, self.spans)
        return AnswerSet(name=self.name, rows=self.rows(), baselines=features, made_up=self.made_up)

    def said(self) -> list[tuple[Response, AnswerSpan]]:
        """Each response with its span."""
        keys = [(r.question_id, r.sample) for r in self.labelled]
        return [(self.responses[key], self.spans[key]) for key in keys]

    @property
    def made_up(self) -> bool:
        """Whether there are questions about things that do not exist."""
        return not all(question.answerable for question in self.questions.values())

    @property
    def two_sided(self) -> bool:
        """Whether there are both hallucinated and faithful answers."""
        return len({answer.hallucinated for answer in self.labelled}) == 2


def measure(
    run: Run,
    model: LanguageModel,
    name: str,
    questions: Questions,
    responses: Kept[tuple[Response, ...]],
    labelled: Sequence[LabelledResponse],
    *,
    for_probe: bool = False,
) -> Answers:
    """Spans and contributions of labelled responses. A span that was not located is counted, and not guessed."""
    setup = run.experiment
    kept, spans, step = located(run, model, questions, responses, labelled, name)
    check_spans(step, setup.max_span_loss)
    said = {(r.question_id, r.sample): r for r in responses.value}
    keys = [(r.question_id, r.sample) for r in kept]
    regions, space = setup.contribution.regions, stored.neuron_space(run.store, model)
    sequences, positions = pooled(run, model, [(said[key], spans[key]) for key in keys])
    contributions = stored.contributions(
        run.store, model, sequences, positions, setup.contribution.token_budget, len(regions), space.size
    )
    large = for_probe and stored.is_large(len(kept) * len(regions), space.size)
    found = Contributions(
        values=contributions.value,
        keys=tuple(keys),
        regions=regions,
        space=space,
        by_neuron=stored.by_neuron(run.store, contributions, setup.contribution.features) if large else None,
    )
    return Answers(
        name=name,
        labelled=kept,
        questions={q.id: q for q in questions},
        responses=said,
        spans=spans,
        found=found,
        drawn=frozenset((r.question_id, r.sample) for r in labelled),
        tested=setup.labeling.tested,
        digest=f"{contributions.digest}/{setup.labeling.tested}",
        trail=Trail((step, *_without_probabilities(name, [said[key] for key in keys]))),
    )


def located(
    run: Run,
    model: LanguageModel,
    questions: Questions,
    responses: Kept[tuple[Response, ...]],
    labelled: Sequence[LabelledResponse],
    name: str,
) -> tuple[tuple[LabelledResponse, ...], dict[tuple[str, int], AnswerSpan], FunnelStep]:
    """Those whose answer was found, the spans of these, and a step of the funnel that counts the others."""
    spans = stored.locate(run.store, run.experiment.span, model, questions, responses, labelled)
    found = {(s.question_id, s.sample): s for s in spans.value if s.tokens}
    kept = tuple(r for r in labelled if (r.question_id, r.sample) in found)
    return kept, found, loss_step(labelled, spans.value, name)


def pooled(
    run: Run, model: LanguageModel, said: Sequence[tuple[Response, AnswerSpan]], region: str | None = None
) -> tuple[list[tuple[int, ...]], list[list[list[int]]]]:
    """The ids of prompt + response, and the positions of each region, or of one: what is extracted of which."""
    settings = run.experiment.contribution
    positions = [region_positions(response, span, settings, model.special_ids) for response, span in said]
    if region is not None:
        line = settings.regions.index(region)
        positions = [own[line : line + 1] for own in positions]
    return [(*response.prompt_ids, *response.token_ids) for response, _ in said], positions


def _without_probabilities(name: str, responses: Sequence[Response]) -> Iterator[FunnelStep]:
    """Responses that a baseline is not measured on, because the engine that sampled them gave no probabilities."""
    for baseline, missing in (
        ("logprob", sum(not r.logprobs for r in responses)),
        ("entropy", sum(not r.entropies for r in responses)),
    ):
        if missing:
            yield FunnelStep(
                stage=f"baseline {baseline}",
                dataset=name,
                unit="responses",
                entered=len(responses),
                left=len(responses) - missing,
                lost={"not given by the sampler": missing},
            )


def testable(measured: Sequence[Answers]) -> list[AnswerSet]:
    """The sets with both kinds of answers, with the baselines of their rows."""
    return [answers.answer_set() for answers in measured if answers.two_sided]
