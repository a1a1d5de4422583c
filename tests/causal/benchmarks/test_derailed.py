"""A reply that goes round in circles is no answer, whatever words it repeats."""

from __future__ import annotations

from dataclasses import dataclass, field

from hneuro.causal.benchmarks.base import ByRule, readings_of
from hneuro.records import BenchmarkItem, Outcome
from hneuro.responses.decoding import Decoding

ITEM = BenchmarkItem(id="1", benchmark="b", messages=(), comply=(), resist=())


@dataclass(frozen=True, kw_only=True)
class ByFirstWord(ByRule):
    name: str = "first_word"
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0))

    def items(self) -> tuple[BenchmarkItem, ...]:
        return (ITEM,)

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        return Outcome(text.split()[0])


def test_every_turn_counts_but_a_prompt_that_tests_nothing_stays_out() -> None:
    circles = "round and round it goes, " * 5
    plain, derailed, excluded = readings_of(
        ByFirstWord(),
        [(ITEM, ("yes", "complies")), (ITEM, (circles, "complies")), (ITEM, (circles, "excluded"))],
    )
    assert plain.outcome is Outcome.COMPLIES
    assert derailed.outcome is Outcome.UNPARSED
    assert excluded.outcome is Outcome.EXCLUDED
