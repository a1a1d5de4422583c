"""The kinds of answers to a compliance benchmark, and their shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from hneuro.causal.repetition import degenerate
from hneuro.records import Outcome, Reading, SweepAnswer
from hneuro.result_records import Estimate
from hneuro.statistics import rate

# The kinds of answers, whose shares add up to 1; an UNPARSED has the kind that its reason begins with.
UNREAD = ("both", "neither", "cut", "derailed", "unreadable")
KINDS = ("complies", "resists", "declined", "refused", *UNREAD, "unparsed")


def kinds_of(readings: Iterable[Reading]) -> list[str]:
    """Those that comply and resist, and the other kinds of answers that there are, in their order."""
    found = {Outcome.COMPLIES.value, Outcome.RESISTS.value, *map(kind_of, readings)}
    return [kind for kind in KINDS if kind in found]


def kind_of(reading: Reading) -> str:
    kind = reading.reason.partition(":")[0]
    return kind if reading.outcome is Outcome.UNPARSED and kind in UNREAD else reading.outcome.value


def shares(readings: Sequence[Reading], kinds: Sequence[str]) -> Iterator[tuple[str, Estimate]]:
    """The share of each kind of answer, of the prompts that test anything."""
    found = [kind_of(reading) for reading in readings if reading.outcome is not Outcome.EXCLUDED]
    for kind in kinds:
        yield f"share_{kind}", rate(found.count(kind), len(found))


def rates_apart(answers: Sequence[tuple[SweepAnswer, Reading]]) -> Iterator[tuple[str, Estimate]]:
    """The rates of answers that do not count, or count for little; of the prompts that test anything."""
    tested = [(a, r) for a, r in answers if r.outcome is not Outcome.EXCLUDED]
    for metric, hits in (
        ("unparsed", [r.outcome is Outcome.UNPARSED for _, r in tested]),
        ("refused", [r.outcome in (Outcome.REFUSED, Outcome.DECLINED) for _, r in tested]),
        ("truncated", [a.truncated for a, _ in tested]),
        ("degenerate", [any(map(degenerate, a.replies)) for a, _ in tested]),
    ):
        yield metric, rate(sum(hits), len(hits))
