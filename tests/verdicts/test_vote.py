"""One verdict from several judges, and every vote kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from judging import question, response

from hneuro.records import Judgement, UserError, Verdict
from hneuro.verdicts.base import Judge, Pair
from hneuro.verdicts.letter import LetterJudge
from hneuro.verdicts.rule import RuleJudge
from hneuro.verdicts.vote import VoteJudge

C, W, R, U = Verdict.CORRECT, Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED
LETTERS = {"c": C, "w": W, "r": R, "u": U}


@dataclass(frozen=True)
class Says:
    """Says what the letter at its place in the response stands for, and remembers what it was asked."""

    place: int
    asked: list[str] = field(default_factory=list)
    ready: bool = True
    letters: ClassVar[bool] = False

    def check(self) -> None:
        if not self.ready:
            raise UserError("no key")

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        self.asked.extend(r.text for _, r in pairs)
        return tuple(
            Judgement(
                question_id=q.id, sample=r.sample, verdict=LETTERS[r.text[self.place]], judge=f"j{self.place}",
                reason=f"reason {self.place}",
            )
            for q, r in pairs
        )  # fmt: skip


def votes(rule: Any, texts: Sequence[str], members: Mapping[str, Judge] | None = None) -> Sequence[Judgement]:
    members = members or {name: Says(n) for n, name in enumerate("abc")}
    asked = question("q", "x")
    judge = VoteJudge(members=members, rule=rule)
    assert isinstance(judge, Judge)
    return judge.judge([(asked, response("q", text, n)) for n, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        ("majority", {"ccc": C, "ccw": C, "wcw": W, "rru": R, "cuu": C, "cwu": U, "cwr": U, "uuu": U, "ccr": C}),
        ("unanimity", {"ccc": C, "rrr": R, "ccw": U, "ccu": U, "uuu": U, "www": W}),
        ("first", {"ccc": C, "cww": C, "uwc": W, "uur": R, "uuu": U}),
    ],
)
def test_rules(rule: str, verdicts: dict[str, Verdict]) -> None:
    found = votes(rule, list(verdicts))
    assert [j.verdict for j in found] == list(verdicts.values())
    assert [j.sample for j in found] == list(range(len(verdicts)))
    assert {j.judge for j in found} == {f"{rule} of a, b, c"}


def test_every_vote_is_kept_and_the_reason_says_how_it_went() -> None:
    majority, split = votes("majority", ["cwc", "cwr"])
    assert [(v.judge, v.verdict, v.reason) for v in majority.votes] == [
        ("a (j0)", C, "reason 0"), ("b (j1)", W, "reason 1"), ("c (j2)", C, "reason 2"),
    ]  # fmt: skip
    assert majority.reason == "2 of 3 say correct"
    assert split.reason.startswith("no majority: correct 1")
    (never,) = votes("unanimity", ["ccu"])
    assert never.reason == "not unanimous: correct 2"
    assert votes("first", ["uuu"])[0].reason == "no judge could say: reason 2"


def test_a_cascade_asks_the_next_only_what_the_one_before_cannot_say() -> None:
    members = {name: Says(n) for n, name in enumerate("abc")}
    found = votes("first", ["ccc", "uwc", "uuc", "wcc"], members)
    assert members["b"].asked == ["uwc", "uuc"]
    assert members["c"].asked == ["uuc"]
    assert [len(j.votes) for j in found] == [1, 2, 3, 1]
    assert found[1].reason == "b (j1): reason 1"


def test_members_that_cannot_vote_together_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        VoteJudge(members={"a": Says(0)})
    with pytest.raises(ValueError, match=r"members\.b: a str is not a judge"):
        VoteJudge(members={"a": Says(0), "b": "rule"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="letters, or all texts"):
        VoteJudge(members={"a": RuleJudge(), "b": LetterJudge()})
    assert VoteJudge(members={"a": LetterJudge(), "b": LetterJudge()}).letters


def test_a_member_that_cannot_work_stops_the_run_before_it_begins() -> None:
    with pytest.raises(UserError, match="no key"):
        VoteJudge(members={"a": RuleJudge(), "b": Says(0, ready=False)}).check()
