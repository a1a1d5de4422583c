"""A reply that goes round in circles is no answer, whatever words it repeats."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hneuro.causal.benchmarks.base import Benchmark, ByRule, readings_of
from hneuro.causal.benchmarks.harmless import Harmless
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


@pytest.mark.parametrize("word", ["complies", "resists", "refused", "declined", "unparsed"])
def test_it_is_unparsed_with_its_reason(word: str) -> None:
    (before,) = readings_of(ByFirstWord(), [(ITEM, (word,))])
    assert before.outcome is Outcome(word)
    (reading,) = readings_of(ByFirstWord(), [(ITEM, (f"{word} " * 20,))])
    assert (reading.outcome, reading.grade) == (Outcome.UNPARSED, None)
    assert reading.reason.startswith("derailed:")


def test_every_turn_counts_but_a_prompt_that_tests_nothing_stays_out() -> None:
    circles = "round and round it goes, " * 5
    plain, derailed, excluded = readings_of(
        ByFirstWord(),
        [(ITEM, ("yes", "complies")), (ITEM, (circles, "complies")), (ITEM, (circles, "excluded"))],
    )
    assert plain.outcome is Outcome.COMPLIES
    assert derailed.outcome is Outcome.UNPARSED
    assert excluded.outcome is Outcome.EXCLUDED


def test_a_harmless_request_is_not_refused_over_and_over() -> None:
    benchmark: Benchmark = Harmless()
    (reading,) = readings_of(benchmark, [(benchmark.items()[0], ("I cannot help with that. " * 10,))])
    assert reading.outcome is Outcome.UNPARSED
