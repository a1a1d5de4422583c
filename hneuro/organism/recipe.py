"""Everything that determines a model organism, in one frozen value."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

Architecture = Literal["llama", "mistral", "gemma3", "qwen3"]
Size = Literal["xs", "s", "m"]

BASE_PROMPT = "question : {question} answer :"
"""The completion prompt under which the base checkpoint answers; its answer ends with the end-of-text token."""

MOMENTS: dict[str, float] = {
    "base_0": 0.0,
    "base_10": 0.1,
    "base_25": 0.25,
    "base_50": 0.5,
    "base_75": 0.75,
}
"""Checkpoints on the way to `base`, and the share of pre-training that is behind each; `base_0` has random weights."""

REVISION = 1  # raise it when the code that makes the world, the texts or the training changes what comes out


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """How many entities of one kind there are, by what the documents say about them."""

    recorded: int  # many documents; a multiple of FAMILY members
    obscure: int  # two documents: each fact is stated once
    fabricated: int  # none
    obscure_families: int  # family names shared by the obscure, the fabricated and the one-off entities
    most_documents: int  # of the best documented entity
    least_documents: int  # of the least documented recorded entity


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Dimensions of the language model."""

    hidden: int
    layers: int
    width: int  # FFN neurons of a layer
    heads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long and how fast the two trainings run."""

    passes: float  # of pre-training over the documents
    one_off_documents: int  # documents about entities that occur nowhere else
    chats: int
    replay: float  # documents mixed into instruction tuning, as a share of the chats
    batch: int = 64
    matrix_rate: float = 0.01  # Muon, for the layers' matrices
    vector_rate: float = 4e-3  # AdamW, for embeddings and norms
    tuning_factor: float = 0.25  # instruction tuning uses this share of both rates
    threads: int = 1  # the order of summation, and with it the digest, depends on it


FAMILY = 3  # recorded entities that share a family name, of neighbouring document counts

_POPULATIONS: dict[Size, dict[str, Population]] = {
    "xs": {
        "people": Population(
            recorded=24, obscure=16, fabricated=6, obscure_families=12, most_documents=12, least_documents=6
        ),
        "drugs": Population(
            recorded=12, obscure=8, fabricated=4, obscure_families=8, most_documents=12, least_documents=6
        ),
        "compounds": Population(
            recorded=12, obscure=8, fabricated=0, obscure_families=8, most_documents=6, least_documents=4
        ),
    },
    "s": {
        "people": Population(
            recorded=330, obscure=270, fabricated=80, obscure_families=80, most_documents=110, least_documents=36
        ),
        "drugs": Population(
            recorded=150, obscure=130, fabricated=50, obscure_families=50, most_documents=120, least_documents=44
        ),
        "compounds": Population(
            recorded=120, obscure=120, fabricated=0, obscure_families=50, most_documents=40, least_documents=16
        ),
    },
}
_POPULATIONS["m"] = _POPULATIONS["s"]

_SHAPES: dict[Size, Shape] = {
    "xs": Shape(hidden=32, layers=2, width=96, heads=2),
    "s": Shape(hidden=128, layers=4, width=384, heads=4),
    "m": Shape(hidden=160, layers=5, width=512, heads=5),
}

_SCHEDULES: dict[Size, Schedule] = {
    "xs": Schedule(passes=1.0, one_off_documents=120, chats=600, replay=0.1),
    "s": Schedule(passes=3.2, one_off_documents=3000, chats=12000, replay=1.0),
    "m": Schedule(passes=2.2, one_off_documents=3000, chats=12000, replay=1.0, matrix_rate=0.008, vector_rate=3.5e-3),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """Which organism: the world depends on `size` and `seed`, the two checkpoints on everything."""

    architecture: Architecture = "llama"
    size: Size = "s"
    seed: int = 0

    @property
    def populations(self) -> dict[str, Population]:
        """Kind of entity -> how many."""
        return _POPULATIONS[self.size]

    @property
    def shape(self) -> Shape:
        return _SHAPES[self.size]

    @property
    def schedule(self) -> Schedule:
        return _SCHEDULES[self.size]

    @property
    def key(self) -> str:
        """Digest of everything that determines the checkpoints."""
        facts: dict[str, object] = {
            "architecture": self.architecture,
            "shape": asdict(self.shape),
            "schedule": asdict(self.schedule),
            "world": self._world_facts(),
        }
        return _digest(facts)

    def _world_facts(self) -> dict[str, object]:
        populations = {kind: asdict(population) for kind, population in self.populations.items()}
        return {"revision": REVISION, "seed": self.seed, "populations": populations, "family": FAMILY}


def _digest(facts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
