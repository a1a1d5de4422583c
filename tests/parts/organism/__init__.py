"""A model about which everything is known: a tiny language model that was trained on a made-up world, and that world.

Its disposition to comply was put into its training data on purpose: it is evidence for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hneuro.models.sources import folder_identity
from hneuro.questions.base import QuestionSet, made
from organism.world import FOLDER, questions


@dataclass(frozen=True, kw_only=True)
class OrganismCheckpoint:
    role: Literal["base", "chat"]

    def locate(self) -> str:
        return str(self.files())

    def identity(self) -> str:
        return folder_identity(self.files())

    def files(self) -> Path:
        return FOLDER / self.role


@dataclass(frozen=True, kw_only=True)
class OrganismQuestions:
    """One domain of its world, the held-out entities only."""

    domain: Literal["people", "drugs", "fabricated_people", "fabricated_drugs"]

    @property
    def name(self) -> str:
        return self.domain

    def load(self) -> QuestionSet:
        return made(questions(self.domain), "the organism's world")
