"""Suppressing only while the risk is high: does it keep more capability, at the same reduction of compliance?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hneuro.report import wording as say
from hneuro.report.finding import Finding
from hneuro.report.tidy import Tidy
from hneuro.results import ResultRow


def conditional(tidy: Tidy) -> Iterator[Finding]:
    """A line for each neuron set; benchmarks on which nothing is taken away compare nothing."""
    for neuron_set in tidy.neuron_sets:
        condition = f"{neuron_set}@risky"
        told = []
        for benchmark in tidy.datasets("causal", "matched_reduction"):
            rows = strongest(tidy, benchmark, condition)
            if rows:
                told.append(f"{say.plain(benchmark)}: {_told(rows)}")
        if told:
            text = (
                f"Suppressing {say.subject(neuron_set)} only while the risk is high, against suppressing them "
                f"everywhere at the same reduction of complying answers, in points. {'; '.join(told)}."
            )
            yield Finding(heading="Causal effect", badge="conditional", tone="plain", text=text)


def strongest(tidy: Tidy, benchmark: str, condition: str) -> Sequence[ResultRow]:
    """The rows of the comparison at the variant's smallest alpha, its reduction first."""
    rows = [
        r
        for r in tidy.results.rows
        if (r.stage, r.dataset, r.condition) == ("causal", benchmark, condition) and r.metric.startswith("matched_")
    ]
    lowest = min((r.alpha for r in rows if r.alpha is not None), default=None)
    return [r for r in rows if r.alpha == lowest]


def does_nothing(reduction: ResultRow) -> bool:
    """Its reduction cannot be told from none."""
    return not _apart_from_zero(reduction)


def keeps(row: ResultRow) -> str:
    """What a difference in a cost says of the variant."""
    if not _apart_from_zero(row):
        return "no difference can be told"
    better = row.value < 0 if row.metric == "matched_over_refusal" else row.value > 0
    return "it keeps more" if better else "it keeps less"


def _apart_from_zero(row: ResultRow) -> bool:
    return row.low is not None and row.high is not None and (row.low > 0 or row.high < 0)


def _told(rows: Sequence[ResultRow]) -> str:
    by_metric = {row.metric: row for row in rows}
    reduction = by_metric["matched_reduction"]
    size = f"{say.points_interval(reduction, 0)}, n = {reduction.n}"
    if does_nothing(reduction):
        return f"does nothing here (takes away {size})"
    if reduction.value < 0:
        return f"adds complying answers (takes away {size})"
    alpha, largest = by_metric["matched_alpha"], by_metric["matched_largest"]
    reached = (
        f"everywhere at alpha {say.number(alpha.value, 2)}"
        if reduction.value <= largest.value
        else f"more than everywhere at any alpha, {say.points(largest.value, 0)}, with which it is compared"
    )
    costs = [
        f"{say.READINGS[row.metric.removeprefix('matched_')]} of {say.plain(row.stratum)} "
        f"{say.points_interval(row)} (n = {row.n}, {say.p_text(row.p_value)}): {keeps(row)}"
        for row in rows
        if row.stratum
    ]
    return f"takes away {size}, {reached}; {', '.join(costs) or 'no cost was measured'}"
