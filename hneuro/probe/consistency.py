"""From judged samples to one labelled response a question (paper, section 2.1), and to as many of either kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hneuro.questions.splits import place_in_draw
from hneuro.records import Judgement, LabelledResponse, Question, Response, Verdict
from hneuro.result_records import FunnelStep
from hneuro.spans.base import NONE_STATED
from hneuro.spans.candidate import names_none

Pair = tuple[Response, Judgement]


def consistent(
    questions: Sequence[Question], judged: Sequence[Pair], dataset: str, samples: int = 1, *, letters: bool = False
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """Questions whose samples are all correct, or all wrong with no refusal among them. Each is represented by its most
    frequent response, by the one drawn first where several are equally frequent. `letters`: all must be the same one.
    Fewer than `samples` that agree show nothing: more of the question's kind were not needed.

    As in `single`, refusing is right where the question is about what does not exist.
    """
    pairs: dict[str, list[Pair]] = {}
    for response, judgement in judged:
        assert (response.question_id, response.sample) == (judgement.question_id, judgement.sample)
        pairs.setdefault(response.question_id, []).append((response, judgement))
    kept: list[LabelledResponse] = []
    lost: Counter[str] = Counter()
    for question in questions:
        own = pairs[question.id]
        hallucinated = hallucinates(question, own)
        if letters and len({response.text for response, _ in own}) > 1:
            lost["draws disagree"] += 1
        elif hallucinated is None:
            lost[_reason(own)] += 1
        elif len(own) < samples:
            lost["so far always " + ("wrong" if hallucinated else "right") + ", and not needed"] += 1
        else:
            kept.append(_labelled(question, _representative([response for response, _ in own]), hallucinated))
    step = FunnelStep(
        stage="consistency", dataset=dataset, unit="questions", entered=len(questions), left=len(kept), lost=dict(lost)
    )
    return tuple(kept), step


def single(
    questions: Sequence[Question], judged: Sequence[Pair], dataset: str
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """Evaluation sets have one sample a question and no filter: correct, or wrong; refusals are left out.

    A question about something that does not exist is answered rightly by refusing: there, refusals are faithful.
    """
    kept: list[LabelledResponse] = []
    lost: Counter[str] = Counter()
    for question, pair in zip(questions, judged, strict=True):
        assert question.id == pair[0].question_id == pair[1].question_id
        hallucinated = hallucinates(question, [pair])
        if hallucinated is None:
            lost[_reason([pair])] += 1
        else:
            kept.append(_labelled(question, pair[0].sample, hallucinated))
    step = FunnelStep(
        stage="verdicts", dataset=dataset, unit="responses", entered=len(questions), left=len(kept), lost=dict(lost)
    )
    return tuple(kept), step


def hallucinates(question: Question, pairs: Sequence[Pair]) -> bool | None:
    """Whether all of these responses hallucinate; None where they disagree, or show neither.

    A wrong one that names no answer of the kind ("in the south of Africa") has no answer tokens to be read, and
    shows neither.
    """
    right = Verdict.CORRECT if question.answerable else Verdict.REFUSED
    said = {judgement.verdict for _, judgement in pairs}
    if said == {Verdict.WRONG} and not any(names_none(question, response.text) for response, _ in pairs):
        return True
    return False if said == {right} else None


def balance(
    labelled: Sequence[LabelledResponse], dataset: str, seed: int, limit: int | None = None
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """As many hallucinated as faithful responses (at most `limit` of each), drawn at random, in their order."""
    sides = [[r for r in labelled if r.hallucinated is kind] for kind in (True, False)]
    size = min(*map(len, sides), limit if limit is not None else len(labelled))
    chosen = {id(r) for side in sides for r in sorted(side, key=lambda r: place_in_draw(r.question_id, seed))[:size]}
    step = FunnelStep(
        stage="balance",
        dataset=dataset,
        unit="responses",
        entered=len(labelled),
        left=len(chosen),
        lost={
            name: len(side) - size
            for name, side in zip(("hallucinated, over", "faithful, over"), sides, strict=True)
            if len(side) > size
        },
    )
    return tuple(r for r in labelled if id(r) in chosen), step


def _labelled(question: Question, sample: int, hallucinated: bool) -> LabelledResponse:
    return LabelledResponse(question_id=question.id, group=question.group, sample=sample, hallucinated=hallucinated)


def _representative(responses: Sequence[Response]) -> int:
    counts = Counter(r.text for r in responses)
    most = max(counts.values())
    return next(r.sample for r in responses if counts[r.text] == most)


def _reason(pairs: Sequence[Pair]) -> str:
    judged = [judgement for _, judgement in pairs]
    said = {judgement.verdict for judgement in judged}
    if Verdict.UNJUDGED in said:
        why = next(j.reason.partition(":")[0] for j in judged if j.verdict is Verdict.UNJUDGED)
        return f"unjudged ({why})" if why else "unjudged"
    if said == {Verdict.REFUSED}:
        return "refused"
    if said == {Verdict.WRONG}:
        return NONE_STATED
    return "sometimes right, sometimes wrong" if Verdict.CORRECT in said else "sometimes refused"
