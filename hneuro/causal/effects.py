"""From the answers of a sweep to rates, slopes and paired tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from hneuro.causal.capability import KNOWN_FACTS
from hneuro.records import Estimate, Outcome, ResultRow, SweepAnswer
from hneuro.statistics import grouped_mean, mcnemar, rate


def effects(answers: Sequence[SweepAnswer], entity_of: Mapping[str, str]) -> tuple[ResultRow, ...]:
    """Result rows for every (benchmark, neuron set, seed). Unparsed answers are left out of rates and counted.

    Slopes are per unit of alpha; they and the changes from the smallest to the largest alpha are paired by item, with a
    bootstrap over entities. p: McNemar (exact) for answers, Wilcoxon signed rank for probabilities.
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
        p = mcnemar(said[:, 0], said[:, -1])
        yield from _trend(metric, said, np.array(alphas), groups[complete], p)
    read = [n for n, row in enumerate(table) if all(c.p_comply is not None for c in row)]
    if read:
        probability = np.array([[c.p_comply for c in table[n]] for n in read], dtype=np.float64)
        for column, alpha in enumerate(alphas):
            yield "p_comply", alpha, grouped_mean(probability[:, column], groups[read]), None
        changed = probability[:, -1] - probability[:, 0]
        p = float(wilcoxon(changed).pvalue) if np.any(changed != 0) else 1.0
        yield from _trend("p_comply", probability, np.array(alphas), groups[read], p)


def _trend(
    metric: str, values: NDArray[np.float64], alphas: NDArray[np.float64], groups: NDArray[np.str_], p: float
) -> Iterator[Measured]:
    """values [item, alpha]. The least-squares slope of the mean is the mean of the items' slopes."""
    centred = alphas - alphas.mean()
    yield f"slope_{metric}", None, grouped_mean(values @ centred / (centred @ centred), groups), None
    yield f"change_{metric}", None, grouped_mean(values[:, -1] - values[:, 0], groups), p


def _labelled(measured: Measured, benchmark: str, condition: str, seed: int | None) -> ResultRow:
    metric, alpha, estimate, p = measured
    return ResultRow(
        stage="causal",
        metric=metric,
        dataset=benchmark,
        condition=condition,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=estimate.n,
        seed=seed,
        alpha=alpha,
        p_value=p,
    )
