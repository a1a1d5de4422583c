"""What a compliance benchmark gives: prompts, how they are answered, and how an answer is read."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hneuro.records import BenchmarkItem, Outcome
from hneuro.responses.decoding import Decoding


@runtime_checkable
class Benchmark(Protocol):
    """A part of the benchmark config."""

    @property
    def name(self) -> str:
        """As it stands in tables."""

    @property
    def decoding(self) -> Decoding:
        """How its prompts are answered."""

    def items(self) -> tuple[BenchmarkItem, ...]:
        """All prompts, in a fixed order."""

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        """Reads a generated answer; UNPARSED where it is neither, never a guess."""
