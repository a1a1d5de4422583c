"""Questions about the model organism's world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hneuro.organism.world import questions
from hneuro.questions.base import QuestionSet, made


@dataclass(frozen=True, kw_only=True)
class OrganismQuestions:
    """One domain of the world, its held-out entities only."""

    domain: Literal["people", "drugs", "fabricated_people", "fabricated_drugs"]

    @property
    def name(self) -> str:
        return self.domain

    def load(self) -> QuestionSet:
        return made(questions(self.domain), "the organism's world")
