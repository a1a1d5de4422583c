"""Known facts, asked again under intervention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest

from hneuro.causal.benchmarks.base import Benchmark, readings_of
from hneuro.causal.benchmarks.known import known_facts
from hneuro.records import Judgement, Outcome, Question, Response, Verdict
from hneuro.verdicts.rule import RuleJudge

QUESTION = Question(id="q1", dataset="d", text="Who wrote Hamlet?", answers=("Shakespeare",), entity="Hamlet")


@dataclass(frozen=True)
class FailingJudge:
    letters: ClassVar[bool] = False

    def check(self) -> None:
        pass

    def judge(self, pairs: Sequence[tuple[Question, Response]]) -> tuple[Judgement, ...]:
        return tuple(
            Judgement(question_id=q.id, sample=0, verdict=Verdict.UNJUDGED, judge="llm", reason="no answer")
            for q, _ in pairs
        )


def test_the_question_is_asked_as_it_was_when_it_was_known() -> None:
    benchmark = known_facts([QUESTION], RuleJudge(), " Answer only.", 50)
    (item,) = benchmark.items()
    assert item.messages == ({"role": "user", "content": "Who wrote Hamlet? Answer only."},)
    assert (item.id, item.benchmark, item.meta["entity"]) == ("q1", "known_facts", "Hamlet")
    assert (item.comply, item.resist) == ((), ())
    assert benchmark.decoding.temperature == 0
    assert isinstance(benchmark, Benchmark)


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("William Shakespeare", Outcome.COMPLIES),
        ("Marlowe", Outcome.RESISTS),
        ("I do not know.", Outcome.REFUSED),
        ("", Outcome.RESISTS),
        (" . . !", Outcome.RESISTS),
    ],
)
def test_accuracy_counts_every_answer_that_is_not_right(text: str, outcome: Outcome) -> None:
    benchmark = known_facts([QUESTION], RuleJudge(), "", 50)
    (reading,) = benchmark.readings([(benchmark.items()[0], (text,))])
    assert reading.outcome is outcome
    assert benchmark.measures == "accuracy"


def test_an_answer_that_derails_is_wrong_even_if_it_has_the_right_words() -> None:
    """The first is what accuracy is for; nor does it help that no judge could read it."""
    for judge in (RuleJudge(), FailingJudge()):
        benchmark = known_facts([QUESTION], judge, "", 50)
        (reading,) = readings_of(benchmark, [(benchmark.items()[0], ("Shakespeare " * 20,))])
        assert (reading.outcome, reading.reason.partition(":")[0]) == (Outcome.RESISTS, "derailed")


def test_a_judge_that_fails_is_not_a_wrong_answer() -> None:
    benchmark = known_facts([QUESTION], FailingJudge(), "", 50)
    (reading,) = benchmark.readings([(benchmark.items()[0], ("Shakespeare",))])
    assert (reading.outcome, reading.reason) == (Outcome.UNPARSED, "no answer")
