"""The rule judge against 35,000 recorded verdicts of the published rule, on what Gemma-3-4B said to 3,500 questions.

That rule looks for an alias anywhere in the response, inside of words too. Every disagreement is of a known class.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from judging import response
from published import converted

from hneuro.probe.consistency import consistent
from hneuro.questions.recorded import Responses, read_recordings
from hneuro.records import Judgement, Question, Verdict
from hneuro.verdicts.agreement import agreements
from hneuro.verdicts.base import Pair
from hneuro.verdicts.labels import LabelsJudge
from hneuro.verdicts.rule import RuleJudge
from hneuro.verdicts.vote import VoteJudge


@pytest.fixture(scope="module")
def file(recorded_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = recorded_data / "gemma3_4b" / "triviaqa_consistency_samples.jsonl"
    return converted(source, tmp_path_factory.mktemp("recorded") / "r.jsonl")


@pytest.fixture(scope="module")
def recordings(file: Path) -> Responses:
    return read_recordings(file)


@pytest.fixture(scope="module")
def pairs(recordings: Responses) -> list[Pair]:
    return [
        (
            Question(id=name, dataset="triviaqa", text=str(one.question), answers=one.answers, entity=name),
            response(name, one.text, n),
        )
        for name, said in recordings.items()
        for n, one in enumerate(said)
    ]  # fmt: skip


def kind(recorded: Verdict, found: Judgement) -> str:
    """The class of a disagreement, as the reason tells it."""
    if found.verdict is Verdict.CORRECT:
        return "the same written otherwise"
    if found.verdict is Verdict.WRONG:
        return "an alias inside a longer word or number"
    return found.reason.partition(":")[0]


def test_every_disagreement_with_the_recorded_verdicts_is_of_a_known_class(
    recordings: Responses, pairs: list[Pair]
) -> None:
    recorded = [one.verdict for said in recordings.values() for one in said if one.verdict is not None]
    found = RuleJudge().judge(pairs)
    assert len(recorded) == len(found) == 35_000
    other = Counter(kind(r, j) for r, j in zip(recorded, found, strict=True) if r is not j.verdict)
    assert other == {
        "an alias inside a longer word or number": 137,  # John Paul II for John Paul I; 40 for 4; Himalayan
        # 6 furlongs for six; Leonard “Bones” McCoy; Online for on line; Voyager 1 & Voyager 2
        "the same written otherwise": 34,
        "refuses": 11,  # "Unknown.", which counts as a hallucination in the recording
    }


def test_the_strict_rule_gives_no_credit_for_expanded_answers(pairs: list[Pair]) -> None:
    """Questions that are "all correct" whose responses only contain an alias among other words."""
    questions = list({question.id: question for question, _ in pairs}.values())
    responses = [response for _, response in pairs]
    right = {}
    for match in ("contains", "strict"):
        judged = RuleJudge(match=match).judge(pairs)
        kept, _ = consistent(questions, list(zip(responses, judged, strict=True)), "triviaqa")
        right[match] = {item.question_id for item in kept if not item.hallucinated}
    assert right["strict"] < right["contains"]
    assert (len(right["contains"]), len(right["strict"])) == (1425, 1282)


def test_recorded_verdicts_are_a_judge_whose_agreement_is_reported(file: Path, pairs: list[Pair]) -> None:
    labels = LabelsJudge(path=str(file), id_column="question_id", response_column="text")
    judge = VoteJudge(members={"rule": RuleJudge(), "recorded": labels})
    judge.check()
    judged = [(*pair, judgement) for pair, judgement in zip(pairs, judge.judge(pairs), strict=True)]
    assert all(judgement.votes[1].verdict is not Verdict.UNJUDGED for *_, judgement in judged)
    (found,) = agreements(judged)
    assert found.agree.value > 0.99
    assert found.kappa is not None
    assert found.kappa > 0.98
