"""Samples from the store: one or several to a question, and no more than what is kept in the end needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TypeVar

from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.pipeline.checks import ENOUGH, check_parts
from hneuro.pipeline.run import Questions, Run
from hneuro.probe.consistency import Pair, hallucinates
from hneuro.questions.splits import in_turn, place_in_draw
from hneuro.records import Judgement, Question, Response, UserError, Verdict
from hneuro.responses.recorded import RecordedSampler
from hneuro.result_records import FunnelStep
from hneuro.store import Kept, fingerprint

Responses = Kept[tuple[Response, ...]]
T = TypeVar("T", Response, Judgement)
ROUND_ENDS = (1, 2, 4, 7)  # then as many as are asked for: a prompt is read once a round
FEWEST = 16  # questions at a time: a batch of fewer takes hardly less time


@dataclass(frozen=True)
class Judged:
    """Responses with their verdicts, ordered by question, then by sample number."""

    responses: Responses
    judgements: Kept[tuple[Judgement, ...]]

    def pairs(self) -> list[Pair]:
        return list(zip(self.responses.value, self.judgements.value, strict=True))


def several(run: Run, model: LanguageModel, parts: Mapping[str, Questions]) -> Judged:
    """The responses that the consistency filter looks at, judged; of every part, all that it and `balance` keep.

    A question whose samples disagree cannot become consistent, and where wrong answers are many more than right ones,
    or the other way around, most of them are left out in the end: neither is sampled further. What is kept is the same
    as of all samples, for each draw has a seed of its own, and `balance` takes the first in an order that is known
    beforehand.
    """
    setup = run.experiment
    samples, every = setup.sampling.samples, tuple(q for part in parts.values() for q in part)
    rounds = _Rounds(run, model, every, setup.seed, may_be_consistent)
    if not setup.stop_early or setup.sampling.letters or samples <= ROUND_ENDS[0]:
        rounds.ask(every, [0, samples])
        return rounds.judged()
    first = {q.id for q in rounds.ask(every, [0, ROUND_ENDS[0]])}
    sides = {name: _sides([q for q in part if q.id in first], rounds) for name, part in parts.items()}
    while asked := tuple(q for name, own in sides.items() for q in _needed(own, run, name)):
        last = {q.id for q in rounds.ask(asked, _ends(ROUND_ENDS[0], samples))}
        for side in (side for own in sides.values() for side in own):
            side.kept += sum(q.id in last for q in side.asked)
    return rounds.judged()


def stopped_step(run: Run, found: Judged, questions: Questions, name: str) -> FunnelStep:
    """How many samples were not needed."""
    asked, drawn = run.experiment.sampling.samples * len(questions), len(found.responses.value)
    lost = {"not drawn: their question disagrees already, or is one too many of its kind": asked - drawn}
    return FunnelStep(
        stage="samples",
        dataset=name,
        unit="responses",
        entered=asked,
        left=drawn,
        lost=lost if drawn < asked else {},
        note=cut_note(found.responses.value),
    )


def cut_note(responses: Sequence[Response]) -> str:
    """How many responses the limit of new tokens has cut; "" where none."""
    cut = sum(response.truncated for response in responses)
    return f"{cut} of {len(responses)} cut at the limit of new tokens" if cut else ""


def one_each(run: Run, model: LanguageModel, questions: Questions) -> Responses:
    """One response to each question of an evaluation set."""
    return _sampled(run, model, questions, 0, 1, run.experiment.seed + 1)


def all_right(run: Run, model: LanguageModel, questions: Questions) -> Judged | None:
    """As many samples as the filter looks at, `one_each`'s first, while all of them are right: what the model knows.

    Of as many questions as the sweep asks about, the groups in turn. None where not so many were recorded.
    """
    try:
        return _all_right(run, model, questions)
    except UserError:
        if isinstance(run.experiment.sampling, RecordedSampler):
            return None  # what was not recorded cannot be sampled now
        raise


def _all_right(run: Run, model: LanguageModel, questions: Questions) -> Judged:
    setup = run.experiment
    samples, wanted = setup.sampling.samples, setup.intervention.facts
    rounds = _Rounds(run, model, questions, setup.seed + 1, _is_right)
    known = _Side(in_turn(questions, setup.seed), {q.id for q in rounds.ask(questions, [0, 1])})
    while samples > 1 and (asked := known.ask(known.most() if wanted is None else wanted)):
        known.kept += len(rounds.ask(asked, _ends(1, samples)))
    return rounds.judged()


def repeated(run: Run, model: LanguageModel, questions: Questions) -> Responses | str:
    """Several responses to each question of an evaluation set, `one_each`'s first, or why there are none."""
    setup = run.experiment
    try:
        more = _sampled(run, model, questions, 1, setup.mechanism.samples, setup.seed + 1)
    except UserError as fault:
        if isinstance(setup.sampling, RecordedSampler):
            return str(fault)  # what was not recorded cannot be sampled now
        raise
    return _joined(questions, [one_each(run, model, questions), more])


def may_be_consistent(question: Question, pairs: Sequence[Pair]) -> bool:
    """Whether the samples so far are all right, or all wrong."""
    return hallucinates(question, pairs) is not None


def _is_right(_: Question, pairs: Sequence[Pair]) -> bool:
    return all(judgement.verdict is Verdict.CORRECT for _, judgement in pairs)


class _Rounds:
    """Samples of questions, judged round by round: only what `is_open` then is sampled further."""

    def __init__(
        self,
        run: Run,
        model: LanguageModel,
        questions: Questions,
        seed: int,
        is_open: Callable[[Question, Sequence[Pair]], bool],
    ) -> None:
        self.run, self.model, self.questions, self.seed, self.is_open = run, model, questions, seed, is_open
        self.said = list[Responses]()
        self.verdicts = list[Kept[tuple[Judgement, ...]]]()
        self.so_far: dict[str, list[Pair]] = {question.id: [] for question in questions}

    def ask(self, asked: Sequence[Question], ends: Sequence[int]) -> Questions:
        """Samples `ends[0]` to `ends[-1]`, judged at each of the ends; the questions that are open after the last."""
        left = tuple(asked)
        for first, end in pairwise(ends):
            if not left:
                break
            self.said.append(_sampled(self.run, self.model, left, first, end, self.seed))
            self.verdicts.append(stored.judge(self.run.store, self.run.experiment.judge, left, self.said[-1]))
            for pair in zip(self.said[-1].value, self.verdicts[-1].value, strict=True):
                self.so_far[pair[0].question_id].append(pair)
            left = tuple(question for question in left if self.is_open(question, self.so_far[question.id]))
        return left

    def judged(self) -> Judged:
        return Judged(_joined(self.questions, self.said), _joined(self.questions, self.verdicts))


class _Side:
    """Questions of which it is not known yet whether all samples agree, in the order of the draw."""

    def __init__(self, drawn: Iterable[Question], members: Collection[str]) -> None:
        self.waiting = [question for question in drawn if question.id in members]
        self.asked: list[Question] = []  # at last
        self.done = self.kept = 0  # asked so far, and those of them whose samples all agree

    def most(self) -> int:
        return self.kept + len(self.waiting)

    def ask(self, wanted: int) -> list[Question]:
        """As many as it takes to have `wanted`, if as many of them agree in the end as of those before."""
        missing = max(wanted - self.kept, 0)
        count = missing and max(math.ceil(missing * (self.done + 1) / (self.kept + 1)), FEWEST)
        self.asked, self.waiting = self.waiting[:count], self.waiting[count:]
        self.done += len(self.asked)
        return self.asked


def _ends(first: int, samples: int) -> list[int]:
    return [first, *(end for end in ROUND_ENDS if first < end < samples), samples]


def _sides(consistent: Sequence[Question], rounds: _Rounds) -> tuple[_Side, _Side]:
    """Those answered wrongly so far, and rightly."""
    drawn = sorted(consistent, key=lambda q: place_in_draw(q.id, rounds.seed))
    wrong = {q.id for q in drawn if rounds.so_far[q.id][0][1].verdict is Verdict.WRONG}
    return _Side(drawn, wrong), _Side(drawn, {q.id for q in drawn} - wrong)


def _needed(sides: tuple[_Side, _Side], run: Run, name: str) -> list[Question]:
    """Those without which it is not known yet whom `balance` takes, and which facts of the select part are known."""
    wrong, right = sides
    size = min(max(min(wrong.most(), right.most()), ENOUGH), run.experiment.splits.most_per_class)
    grid = run.experiment.intervention
    facts = 0 if name != "select" or not grid.swept else right.most() if grid.facts is None else grid.facts
    return [*wrong.ask(size), *right.ask(max(size, facts))]


def _sampled(run: Run, model: LanguageModel, questions: Questions, first: int, samples: int, seed: int) -> Responses:
    part, ready = run.experiment.sampling, partial(check_parts, run)
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
