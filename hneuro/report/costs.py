"""What an intervention costs beside its effect, in plain words: perplexity, and answers that were cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from hneuro.report import wording as say
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow

MANY_CUT = 0.02  # of the answers of a benchmark
UNTOUCHED = 1.0  # alpha


class Cost(NamedTuple):
    """What a finding is made of."""

    heading: str
    badge: str
    tone: Literal["partly", "plain"]
    text: str


def costs(tidy: Tidy) -> Iterator[Cost]:
    """A warning for each benchmark that was cut too often, and perplexity under each neuron set."""
    for benchmark in tidy.datasets("causal", "truncated"):
        if warning := _cut(tidy, benchmark):
            yield Cost("Causal effect", "cut answers", "partly", warning)
    for neuron_set in tidy.neuron_sets:
        if perplexity := _perplexity(tidy, neuron_set):
            yield Cost("Capability", "perplexity", "plain", perplexity)


def _cut(tidy: Tidy, benchmark: str) -> str:
    """Where answers end at the length limit at any alpha; "" where they hardly ever do. Controls do not count."""
    rows = [
        row
        for row in tidy.results.rows
        if (row.stage, row.metric, row.dataset) == ("causal", "truncated", benchmark)
        and "/" not in row.condition
        and row.alpha is not None
        and not say.missing(row.value)
    ]
    worst = max(rows, key=lambda row: row.value, default=None)
    if worst is None or worst.value <= MANY_CUT:
        return ""
    whole = next((row for row in rows if row.condition == worst.condition and row.alpha == UNTOUCHED), None)
    beside = f", {say.percent(whole.value, 0)} of the untouched model's" if whole and whole is not worst else ""
    return (
        f"{say.plain(benchmark).capitalize()}: up to {say.percent_interval(worst, 0)} of the answers were cut at the "
        f"length limit ({_under(worst)}, n = {worst.n}{beside}). What they would have gone on to say is not in their "
        "verdicts: a higher limit may change the conclusion."
    )


def _under(row: ResultRow) -> str:
    if row.alpha == UNTOUCHED:
        return "the untouched model"
    return f"{say.condition_name(row.condition)} at alpha {row.alpha:g}"


def _perplexity(tidy: Tidy, neuron_set: str) -> str:
    """From alpha 1 to both ends of the grid."""
    for dataset in tidy.datasets("causal", "perplexity"):
        curve = [row for row in tidy.curve("perplexity", dataset, neuron_set, None) if not say.missing(row.value)]
        whole = next((row for row in curve if row.alpha == UNTOUCHED), None)
        ends = [row for row in dict.fromkeys((curve[0], curve[-1])) if row is not whole] if curve else []
        if whole is None or not ends:
            continue
        moved = "; ".join(
            f"{say.with_interval(row, 2)} at alpha {row.alpha:g} ({say.points(row.value / whole.value - 1)} %)"
            for row in ends
        )
        return (
            f"Perplexity of the {say.plain(dataset)} is {say.with_interval(whole, 2)} at alpha 1 and, with "
            f"{say.subject(neuron_set)} scaled, {moved}; {whole.n} passages, intervals of the values, "
            "not of their differences."
        )
    return ""
