"""From judged samples to one labelled response a question (paper, section 2.1), and to as many of either kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hneuro.questions.splits import place_in_draw
from hneuro.records import Judgement, LabelledResponse, Question, Response, Verdict
from hneuro.result_records import FunnelStep


def consistent(
    questions: Sequence[Question],
    responses: Sequence[Response],
    judgements: Sequence[Judgement],
    dataset: str,
    samples: int = 1,
    *,
    letters: bool = False,
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """Questions whose samples are all correct, or all wrong with no refusal among them. Each is represented by its most
    frequent response, by the one drawn first where several are equally frequent. `letters`: all must be the same one.
    Fewer than `samples` that agree show nothing: more of the question's kind were not needed.

    As in `single`, refusing is right where the question is about what does not exist.
    """
    texts: dict[str, list[Response]] = {}
    judged: dict[str, list[Judgement]] = {}
    for response, judgement in zip(responses, judgements, strict=True):
        assert (response.question_id, response.sample) == (judgement.question_id, judgement.sample)
        texts.setdefault(response.question_id, []).append(response)
        judged.setdefault(response.question_id, []).append(judgement)
    kept: list[LabelledResponse] = []
    lost: Counter[str] = Counter()
    for question in questions:
        said = {judgement.verdict for judgement in judged[question.id]}
        right = Verdict.CORRECT if question.answerable else Verdict.REFUSED
        if letters and len({response.text for response in texts[question.id]}) > 1:
            lost["draws disagree"] += 1
        elif said in ({right}, {Verdict.WRONG}):
            if len(texts[question.id]) < samples:
                lost["so far always " + ("wrong" if said == {Verdict.WRONG} else "right") + ", and not needed"] += 1
                continue
            kept.append(_labelled(question, _representative(texts[question.id]), said == {Verdict.WRONG}))
        else:
            lost[_reason(judged[question.id])] += 1
    step = FunnelStep(
        stage="consistency", dataset=dataset, unit="questions", entered=len(questions), left=len(kept), lost=dict(lost)
    )
    return tuple(kept), step


def single(
    questions: Sequence[Question], judgements: Sequence[Judgement], dataset: str
) -> tuple[tuple[LabelledResponse, ...], FunnelStep]:
    """Evaluation sets have one sample a question and no filter: correct, or wrong; refusals are left out.

    A question about something that does not exist is answered rightly by refusing: there, refusals are faithful.
    """
    kept: list[LabelledResponse] = []
    lost: Counter[str] = Counter()
    for question, judgement in zip(questions, judgements, strict=True):
        assert question.id == judgement.question_id
        right = Verdict.CORRECT if question.answerable else Verdict.REFUSED
        if judgement.verdict in (right, Verdict.WRONG):
            kept.append(_labelled(question, judgement.sample, judgement.verdict is Verdict.WRONG))
        else:
            lost[_reason([judgement])] += 1
    step = FunnelStep(
        stage="verdicts", dataset=dataset, unit="responses", entered=len(questions), left=len(kept), lost=dict(lost)
    )
    return tuple(kept), step


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


def _reason(judged: Sequence[Judgement]) -> str:
    said = {judgement.verdict for judgement in judged}
    if Verdict.UNJUDGED in said:
        why = next(j.reason.partition(":")[0] for j in judged if j.verdict is Verdict.UNJUDGED)
        return f"unjudged ({why})" if why else "unjudged"
    if said == {Verdict.REFUSED}:
        return "refused"
    return "sometimes right, sometimes wrong" if Verdict.CORRECT in said else "sometimes refused"
