"""One table of everything that could tell a hallucination, on the same rows: inside the model, its doubts, its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.mechanism.sparsity import MEASURES
from hneuro.detection.scored import AnswerSet
from hneuro.result_records import Estimate, ResultRow
from hneuro.statistics import auroc, auroc_difference, grouped_difference, grouped_mean

# Each is turned so that more of it should mean a hallucination, whatever it turns out to mean.
SIGNALS = ("h_neurons", "logprob", "entropy", "unsure", "inconsistency", "active_share", "hoyer", "rarity")
DIFFERENCES = tuple(f"{measure}_minus_faithful" for measure in MEASURES)
LAYER_METRICS = (*MEASURES, *DIFFERENCES)  # what is told of each layer
OWN, CONFIDENCE, RARITY = (SIGNALS.index(name) for name in ("h_neurons", "logprob", "rarity"))

Turn = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Reasons = Mapping[tuple[str, str], str]  # (set, signal) -> why some or all of its rows lack it


def as_signals(known: Mapping[str, NDArray[np.float64]], rows: int) -> NDArray[np.float64]:
    """[row, signal] from what was measured, by name and as it is; NaN for the rest.

    Log-probability and active share are negated, counts become -log(1 + count): the three fall where hallucination is
    expected. Nothing is fitted, so an AUROC below 0.5 says that a signal points the other way.
    """
    turned: Mapping[str, Turn] = {
        "logprob": np.negative,
        "active_share": np.negative,
        "rarity": lambda count: -np.log1p(count),
    }
    table = np.full((rows, len(SIGNALS)), np.nan)
    for name, values in known.items():
        table[:, SIGNALS.index(name)] = turned.get(name, np.asarray)(values)
    return table


def signal_rows(sets: Sequence[AnswerSet], reasons: Reasons) -> Iterator[ResultRow]:
    """AUROC of each signal on each set (`baselines` are its signals), paired with the H-Neurons' on the same rows.

    A signal that no row has is a row without a value, whose note is the reason. Where rows of two sets were put
    together, one may lack what the other has. Last: rarity against the answer's log-probability.
    """
    for tested in sets:
        y, groups = tested.rows.y, tested.rows.groups
        for place, name in enumerate(SIGNALS):
            score = tested.baselines[:, place]
            known = ~np.isnan(score)
            note = _note(known, reasons.get((tested.name, name), "not measured"))
            area = auroc(y[known], score[known], groups[known])
            yield replace(row_of(area, "auroc", tested.name, name), note=note)
        pairs = [(place, OWN) for place in range(len(SIGNALS)) if place != OWN]
        for one, other in [*pairs, (RARITY, CONFIDENCE)]:
            first, second = tested.baselines[:, one], tested.baselines[:, other]
            both = ~np.isnan(first) & ~np.isnan(second)
            if both.any():
                found, p = auroc_difference(y[both], first[both], second[both], groups[both])
                yield replace(row_of(found, f"auroc_minus_{SIGNALS[other]}", tested.name, SIGNALS[one]), p_value=p)


def layer_rows(
    name: str, hallucinated: NDArray[np.bool_], groups: NDArray[Any], sparse: NDArray[np.float32], least: int
) -> Iterator[ResultRow]:
    """`LAYER_METRICS`, over all layers and in each, from sparse [row, measure, 1 + layer].

    Means of hallucinated and of faithful rows, and the former minus the latter with p. A side of fewer than `least`
    rows is left out, and so is its difference.
    """
    sides = (("hallucinated", hallucinated), ("faithful", ~hallucinated))
    for measure, (metric, difference) in enumerate(zip(MEASURES, DIFFERENCES, strict=True)):
        for place in range(sparse.shape[2]):
            stratum = "all layers" if place == 0 else f"layer {place - 1}"
            values = sparse[:, measure, place]
            known = ~np.isnan(values)
            enough = [(condition, known & side) for condition, side in sides if (known & side).sum() >= least]
            for condition, here in enough:
                mean = grouped_mean(values[here], groups[here])
                yield replace(row_of(mean, metric, name, condition), stratum=stratum)
            if len(enough) == len(sides):
                found, p = grouped_difference(hallucinated[known], values[known], groups[known])
                yield replace(row_of(found, difference, name, "hallucinated"), stratum=stratum, p_value=p)


def row_of(estimate: Estimate, metric: str, dataset: str, condition: str) -> ResultRow:
    return ResultRow.of(estimate, stage="mechanism", metric=metric, dataset=dataset, condition=condition)


def absent(metric: str, dataset: str, condition: str, reason: str) -> ResultRow:
    """A number that there is not, and why."""
    return ResultRow(
        stage="mechanism", metric=metric, dataset=dataset, condition=condition, value=float("nan"), note=reason
    )


def _note(known: NDArray[np.bool_], reason: str) -> str:
    if known.all():
        return ""
    return f"{(~known).sum()} of {len(known)} answers: {reason}" if known.any() else reason
