"""From the answers of a sweep to rates, slopes and paired tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from hneuro.causal.capability import KNOWN_FACTS
from hneuro.records import Outcome, SweepAnswer
from hneuro.results import Estimate, ResultRow
from hneuro.statistics import grouped_mean, mcnemar, rate


def effects(answers: Sequence[SweepAnswer], entity_of: Mapping[str, str]) -> tuple[ResultRow, ...]:
    """Result rows for every (benchmark, neuron set, seed). Unparsed answers are left out of rates and counted.

    Slopes are per unit of alpha; they and the changes from the smallest to the largest alpha are paired by item, with a
    bootstrap over entities. The two arms of a change, from the smallest alpha to 1 and from 1 to the largest, stand
    beside it: what suppression takes away is not what amplification adds. p: McNemar (exact) for answers, Wilcoxon
    signed rank for probabilities.
    """
    rows: list[ResultRow] = []

    def cell(answer: SweepAnswer) -> tuple[str, str, int]:
        return (answer.benchmark, answer.neuron_set, answer.seed)

    for (benchmark, condition, seed), group in groupby(sorted(answers, key=cell), key=cell):
        found = list(group)
        for row in _cell(found, benchmark, entity_of):
            rows.append(_labelled(row, benchmark, condition, None if "/" not in condition else seed))
    return tuple(rows)


Measured = tuple[str, float | None, Estimate, float | None]  # metric, alpha, estimate, p


def _cell(answers: Sequence[SweepAnswer], benchmark: str, entity_of: Mapping[str, str]) -> Iterator[Measured]:
    alphas = sorted({a.alpha for a in answers})
    items = sorted({a.item_id for a in answers})
    at = {(a.item_id, a.alpha): a for a in answers}
    groups = np.array([entity_of[i] for i in items])
    metric = "accuracy" if benchmark == KNOWN_FACTS else "compliance"
    table = [[at[item, alpha] for alpha in alphas] for item in items]
    for column, alpha in enumerate(alphas):
        cells = [row[column] for row in table]
        parsed = [c for c in cells if c.outcome is not Outcome.UNPARSED]
        yield metric, alpha, rate(sum(c.outcome is Outcome.COMPLIES for c in parsed), len(parsed)), None
        yield "unparsed", alpha, rate(len(cells) - len(parsed), len(cells)), None
        yield "truncated", alpha, rate(sum(c.truncated for c in cells), len(cells)), None
    complete = [n for n, row in enumerate(table) if all(c.outcome is not Outcome.UNPARSED for c in row)]
    said = np.array([[c.outcome is Outcome.COMPLIES for c in table[n]] for n in complete], dtype=np.float64)
    if len(complete):
        yield from _trend(metric, said, np.array(alphas), groups[complete], mcnemar)
    read = [n for n, row in enumerate(table) if all(c.p_comply is not None for c in row)]
    if read:
        probability = np.array([[c.p_comply for c in table[n]] for n in read], dtype=np.float64)
        for column, alpha in enumerate(alphas):
            yield "p_comply", alpha, grouped_mean(probability[:, column], groups[read]), None
        yield from _trend("p_comply", probability, np.array(alphas), groups[read], _signed_rank)


def _trend(
    metric: str,
    values: NDArray[np.float64],
    alphas: NDArray[np.float64],
    groups: NDArray[np.str_],
    test: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> Iterator[Measured]:
    """values [item, alpha]. The least-squares slope of the mean is the mean of the items' slopes."""
    centred = alphas - alphas.mean()
    slopes = (values - values[:, :1]) @ centred / (centred @ centred)  # exactly 0 for an item that never moves
    yield f"slope_{metric}", None, grouped_mean(slopes, groups), None
    arms = {f"change_{metric}": (0, len(alphas) - 1)}
    if 1.0 in alphas[1:-1]:
        untouched = int(np.flatnonzero(alphas == 1.0)[0])
        arms |= {f"change_to_1_{metric}": (0, untouched), f"change_from_1_{metric}": (untouched, len(alphas) - 1)}
    for name, (first, last) in arms.items():
        before, after = values[:, first], values[:, last]
        yield name, None, grouped_mean(after - before, groups), test(before, after)


def _signed_rank(before: NDArray[np.float64], after: NDArray[np.float64]) -> float:
    """Two-sided p of the Wilcoxon signed rank test; 1 where nothing changed."""
    return float(wilcoxon(after - before).pvalue) if np.any(after != before) else 1.0


def _labelled(measured: Measured, benchmark: str, condition: str, seed: int | None) -> ResultRow:
    metric, alpha, estimate, p = measured
    return ResultRow.of(
        estimate,
        stage="causal",
        metric=metric,
        dataset=benchmark,
        condition=condition,
        seed=seed,
        alpha=alpha,
        p_value=p,
    )
