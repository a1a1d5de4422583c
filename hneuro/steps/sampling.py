"""Samples from the store: one or several to a question, and no more than the consistency filter can still use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from hneuro.models.language_model import LanguageModel
from hneuro.records import Judgement, Question, Response, UserError, Verdict
from hneuro.responses.recorded import RecordedSampler
from hneuro.results import FunnelStep
from hneuro.steps import stored
from hneuro.steps.checks import check_parts
from hneuro.steps.context import Context
from hneuro.steps.cost import announce
from hneuro.store import Kept, fingerprint

Questions = tuple[Question, ...]
Responses = Kept[tuple[Response, ...]]
Pair = tuple[Response, Judgement]
T = TypeVar("T", Response, Judgement)
ROUND_ENDS = (2, 4, 7)  # then as many as are asked for: a prompt is read once a round


@dataclass(frozen=True)
class Judged:
    """Responses with their verdicts, ordered by question, then by sample number."""

    responses: Responses
    judgements: Kept[tuple[Judgement, ...]]

    def pairs(self) -> list[Pair]:
        return list(zip(self.responses.value, self.judgements.value, strict=True))


def several(run: Context, model: LanguageModel, questions: Questions) -> Judged:
    """The responses that the consistency filter looks at, judged.

    A question whose samples disagree cannot become consistent: it is not sampled further. What the filter keeps is the
    same, for each draw has a seed of its own.
    """
    setup = run.experiment
    samples = setup.sampling.samples
    ends = [end for end in ROUND_ENDS if end < samples] if setup.stop_early and not setup.sampling.letters else []
    return in_rounds(run, model, questions, setup.seed, [0, *ends, samples], may_be_consistent)


def stopped_step(run: Context, found: Judged, questions: Questions, name: str) -> FunnelStep:
    """How many samples were not needed."""
    asked, drawn = run.experiment.sampling.samples * len(questions), len(found.responses.value)
    lost = {"not drawn, as the samples of their question disagree": asked - drawn} if drawn < asked else {}
    note = cut_note(found.responses.value)
    return FunnelStep(stage="samples", dataset=name, unit="responses", entered=asked, left=drawn, lost=lost, note=note)


def cut_note(responses: Sequence[Response]) -> str:
    """How many responses the limit of new tokens has cut; "" where none."""
    cut = sum(response.truncated for response in responses)
    return f"{cut} of {len(responses)} cut at the limit of new tokens" if cut else ""


def one_each(run: Context, model: LanguageModel, questions: Questions) -> Responses:
    """One response to each question of an evaluation set."""
    return _sampled(run, model, questions, 0, 1, run.experiment.seed + 1)


def all_right(run: Context, model: LanguageModel, questions: Questions) -> Judged:
    """As many samples as the filter looks at, `one_each`'s first, while all of them are right: what the model knows."""
    setup = run.experiment
    samples = setup.sampling.samples
    ends = [end for end in (1, *ROUND_ENDS) if end < samples]
    return in_rounds(run, model, questions, setup.seed + 1, [0, *ends, samples], _all_right)


def repeated(run: Context, model: LanguageModel, questions: Questions) -> Responses | str:
    """Several responses to each question of an evaluation set, `one_each`'s first, or why there are none."""
    setup = run.experiment
    try:
        more = _sampled(run, model, questions, 1, setup.mechanism.samples, setup.seed + 1)
    except UserError as fault:
        if isinstance(setup.sampling, RecordedSampler):
            return str(fault)  # what was not recorded cannot be sampled now
        raise
    return _joined(questions, [one_each(run, model, questions), more])


def in_rounds(
    run: Context,
    model: LanguageModel,
    questions: Questions,
    seed: int,
    ends: Sequence[int],
    is_open: Callable[[Question, Sequence[Pair]], bool],
) -> Judged:
    """Samples `ends[0]` to `ends[-1]`, judged at each of the ends: only what `is_open` then is sampled further."""
    left, said, judged = questions, list[Responses](), list[Kept[tuple[Judgement, ...]]]()
    so_far: dict[str, list[Pair]] = {question.id: [] for question in questions}
    for first, end in pairwise(ends):
        said.append(_sampled(run, model, left, first, end, seed))
        judged.append(stored.judge(run.store, run.experiment.judge, left, said[-1]))
        if end < ends[-1]:
            for pair in zip(said[-1].value, judged[-1].value, strict=True):
                so_far[pair[0].question_id].append(pair)
            left = tuple(question for question in left if is_open(question, so_far[question.id]))
        if not left:
            break
    return Judged(_joined(questions, said), _joined(questions, judged))


def may_be_consistent(question: Question, pairs: Sequence[Pair]) -> bool:
    """Whether the samples so far are all right, or all wrong."""
    right = Verdict.CORRECT if question.answerable else Verdict.REFUSED
    return {judgement.verdict for _, judgement in pairs} in ({right}, {Verdict.WRONG})


def _all_right(_: Question, pairs: Sequence[Pair]) -> bool:
    return all(judgement.verdict is Verdict.CORRECT for _, judgement in pairs)


def _sampled(
    run: Context, model: LanguageModel, questions: Questions, first: int, samples: int, seed: int
) -> Responses:
    def ready() -> None:
        check_parts(run)
        announce(run)

    part = run.experiment.sampling
    return stored.sample(run.store, model, part, questions, samples, seed, first=first, ready=ready)


def _joined(questions: Iterable[Question], parts: Sequence[Kept[tuple[T, ...]]]) -> Kept[tuple[T, ...]]:
    """The records of several rounds in the order of (question, sample)."""
    if len(parts) == 1:
        return parts[0]

    def records() -> Iterator[T]:
        place: dict[str, list[T]] = {question.id: [] for question in questions}
        for part in parts:
            for record in part.value:
                place[record.question_id].append(record)
        for own in place.values():
            yield from own

    return Kept(lambda: tuple(records()), fingerprint([part.digest for part in parts]))
