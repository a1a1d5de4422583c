"""Several judges: one verdict from their votes, which are all kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from hneuro.records import Judgement, Verdict, Vote
from hneuro.verdicts.base import Judge, Pair, Said, judgement


@dataclass(frozen=True, kw_only=True)
class VoteJudge:
    """`members` are asked in their order.

    `rule`: "majority": more than half of those who can say; "unanimity": all of them, and all can say; "first": the
    first that can say, and only what it cannot say goes to the next (a rule judge, and a model for the grey zone).
    """

    members: Mapping[str, Judge]
    rule: Literal["majority", "unanimity", "first"] = "majority"

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError("members must be at least two judges")
        for name, member in self.members.items():
            if not isinstance(member, Judge):
                raise ValueError(f"members.{name}: a {type(member).__name__} is not a judge")
        if len({member.letters for member in self.members.values()}) > 1:
            raise ValueError("members must all judge letters, or all texts")

    @property
    def letters(self) -> bool:
        return next(iter(self.members.values())).letters

    def check(self) -> None:
        for member in self.members.values():
            member.check()

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        votes: list[list[Vote]] = [[] for _ in pairs]
        for name, member in self.members.items():
            open_ = [n for n, cast in enumerate(votes) if self.rule != "first" or not _can_say(cast)]
            for n, said in zip(open_, member.judge([pairs[n] for n in open_]), strict=True):
                votes[n].append(Vote(judge=f"{name} ({said.judge})", verdict=said.verdict, reason=said.reason))
        judge = f"{self.rule} of {', '.join(self.members)}"
        return tuple(
            judgement(pair, self._verdict(cast), judge, tuple(cast)) for pair, cast in zip(pairs, votes, strict=True)
        )

    def _verdict(self, votes: Sequence[Vote]) -> Said:
        said = _can_say(votes)
        if not said:
            return Verdict.UNJUDGED, f"no judge could say: {votes[-1].reason}"
        if self.rule == "first":
            return said[0].verdict, f"{said[0].judge}: {said[0].reason}"
        counts = Counter(vote.verdict for vote in said)
        verdict, count = counts.most_common(1)[0]
        tally = ", ".join(f"{other.value} {n}" for other, n in counts.most_common())
        if self.rule == "unanimity":
            agreed = count == len(votes)
            return (verdict, f"all say {verdict.value}") if agreed else (Verdict.UNJUDGED, f"not unanimous: {tally}")
        if 2 * count <= len(said):
            return Verdict.UNJUDGED, f"no majority: {tally}"
        return verdict, f"{count} of {len(said)} say {verdict.value}"


def _can_say(votes: Sequence[Vote]) -> list[Vote]:
    return [vote for vote in votes if vote.verdict is not Verdict.UNJUDGED]
