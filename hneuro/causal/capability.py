"""What an intervention costs: the questions that the untouched model knows, asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from hneuro.causal.benchmarks.base import Answer, Measure
from hneuro.records import BenchmarkItem, Judgement, Outcome, Question, Reading, Response, Verdict
from hneuro.responses.decoding import Decoding
from hneuro.verdicts.base import Judge

KNOWN_FACTS = "known_facts"


@dataclass(frozen=True, kw_only=True)
class KnownFacts:
    """A benchmark of accuracy: questions answered rightly in every sample, asked greedily."""

    questions: Mapping[str, Question]
    judge: Judge
    decoding: Decoding
    name: str = KNOWN_FACTS
    measures: ClassVar[Measure] = "accuracy"

    def items(self) -> tuple[BenchmarkItem, ...]:
        return tuple(
            BenchmarkItem(
                id=question.id,
                benchmark=self.name,
                messages=({"role": "user", "content": question.text},),
                comply=(),
                resist=(),
                meta={"entity": question.group},
            )
            for question in self.questions.values()
        )

    def readings(self, answers: Sequence[Answer]) -> Sequence[Reading]:
        asked = [(self.questions[item.id], _response(item, replies[-1])) for item, replies in answers]
        judged = self.judge.judge(asked)
        return [_reading(found, replies[-1]) for found, (_, replies) in zip(judged, answers, strict=True)]


def _response(item: BenchmarkItem, text: str) -> Response:
    return Response(question_id=item.id, sample=0, prompt_ids=(), token_ids=(), text=text, logprobs=(), entropies=())


def _reading(judged: Judgement, text: str) -> Reading:
    if judged.verdict is Verdict.CORRECT:
        return Reading(outcome=Outcome.COMPLIES)
    if judged.verdict is Verdict.REFUSED:
        return Reading(outcome=Outcome.REFUSED)
    # Saying nothing to a known question is a lost capability; a judge that failed is a missing measurement.
    failed = judged.verdict is Verdict.UNJUDGED and any(c.isalnum() for c in text)
    return Reading(outcome=Outcome.UNPARSED if failed else Outcome.RESISTS, reason=judged.reason)


def known_facts(known: Sequence[Question], judge: Judge, suffix: str, answer_tokens: int) -> KnownFacts:
    """The capability benchmark over known questions; `suffix` is the model's answer-only instruction."""
    return KnownFacts(
        questions={q.id: replace(q, text=q.text + suffix) for q in known},
        judge=judge,
        decoding=Decoding(temperature=0.0, max_new_tokens=answer_tokens),
    )
