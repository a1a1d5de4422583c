"""What every judge gives, and the words that the rule judge reads."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from hneuro.records import Judgement, Question, Response, Verdict, Vote

Pair = tuple[Question, Response]
Said = tuple[Verdict, str]  # and the reason for it

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text("utf-8"))


def word_list(kind: str) -> tuple[str, ...]:
    """The words, or the regular expressions in all languages, that words.toml has under that name, in its order."""
    found = WORDS[kind]
    return tuple(found.split()) if isinstance(found, str) else tuple(p for listed in found.values() for p in listed)


@runtime_checkable
class Judge(Protocol):
    """The part that `judge` names."""

    @property
    def letters(self) -> bool:
        """Whether it judges the letters of options, and those alone."""

    def check(self) -> None:
        """`UserError` where it cannot work (no key, no file), before anything is sampled for it."""

    def judge(self, pairs: Sequence[Pair]) -> tuple[Judgement, ...]:
        """One judgement a pair, in their order; UNJUDGED, with a reason, where it cannot say: never a guess."""


def judgement(pair: Pair, said: Said, judge: str, votes: tuple[Vote, ...] = ()) -> Judgement:
    question, response = pair
    verdict, reason = said
    return Judgement(
        question_id=question.id, sample=response.sample, verdict=verdict, judge=judge, reason=reason, votes=votes
    )
