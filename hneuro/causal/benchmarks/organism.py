"""The four compliance tasks of the model organism's world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hneuro.causal.benchmarks.base import ByRule
from hneuro.organism import tasks
from hneuro.organism.recipe import Recipe
from hneuro.organism.world import World
from hneuro.records import BenchmarkItem, Outcome
from hneuro.responses.decoding import Decoding


@dataclass(frozen=True, kw_only=True)
class OrganismBenchmark(ByRule):
    """One facet of compliance, greedy, about entities that were never asked about in training."""

    facet: Literal["false_premise", "misleading_context", "doubt", "forbidden"]
    size: Literal["xs", "s", "m"] = "s"
    seed: int = 0
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0, max_new_tokens=10))

    @property
    def name(self) -> str:
        return self.facet

    def items(self) -> tuple[BenchmarkItem, ...]:
        return World.build(Recipe(size=self.size, seed=self.seed)).tasks(self.facet)

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        return tasks.outcome(item, text)
