"""A data set of ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hneuro.questions.base import QuestionSet, QuestionSource, made


@dataclass(frozen=True, kw_only=True)
class ShortQuestions:
    """The questions of another data set that have at most `words` words."""

    source: QuestionSource
    words: int = 12
    name: ClassVar[str] = "short questions"

    def __post_init__(self) -> None:
        if self.words < 1:
            raise ValueError(f"words must be at least 1, not {self.words}")

    def load(self) -> QuestionSet:
        found = self.source.load()
        short = [question for question in found.questions if len(question.text.split()) <= self.words]
        return made(short, f"at most {self.words} words of {found.origin.source}")
