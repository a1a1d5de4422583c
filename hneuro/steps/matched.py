"""Ways to suppress at the same reduction, bound to the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hneuro.causal.curves import Answers, curve_of
from hneuro.causal.matched import Pair, matched
from hneuro.results import ResultRow
from hneuro.statistics import BOUNDARY
from hneuro.steps.sweeps import Swept, entities
from hneuro.store import Store, fingerprint

COMPARED = ("first alpha from 1 down, straight lines", BOUNDARY)  # rows are stored under how they are made


def at_the_same_reduction(store: Store, swept: Sequence[Swept]) -> tuple[ResultRow, ...]:
    """Each variant on each compliance benchmark, with its cost in known facts and in refused harmless requests."""
    reads = {
        "swept": [
            (s.answers.digest, s.readings.digest, s.benchmark.name, s.benchmark.measures, fingerprint(entities(s)))
            for s in swept
        ],
        "compared": COMPARED,
    }
    return store.whole("matched", ResultRow, reads, lambda: list(_rows(swept))).value


def _rows(swept: Sequence[Swept]) -> Iterator[ResultRow]:
    found = [(one, Answers(one.answers.value, one.readings.value, entities(one))) for one in swept]
    for one, answers in found:
        for variant, _ in answers.sets if one.benchmark.measures == "compliance" else ():
            if "@" in variant:
                costs = {
                    other.benchmark.name: _pair(other, measured, variant)
                    for other, measured in found
                    if other.benchmark.measures != "compliance"
                }
                yield from matched(one.benchmark.name, variant, _pair(one, answers, variant), costs)


def _pair(one: Swept, answers: Answers, variant: str) -> Pair:
    plain, measures = variant.partition("@")[0], one.benchmark.measures
    return curve_of(answers, (plain, 0), measures), curve_of(answers, (variant, 0), measures)
