"""One table of everything that could tell a hallucination, on the same rows: inside the model, its doubts, its data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.evaluate import AnswerSet
from hneuro.results import Estimate, ResultRow
from hneuro.statistics import auroc, auroc_difference, grouped_mean

# Each is turned so that more of it should mean a hallucination, whatever it turns out to mean.
SIGNALS = ("h_neurons", "logprob", "entropy", "unsure", "inconsistency", "active_share", "hoyer", "rarity")
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
    name: str, hallucinated: NDArray[np.bool_], groups: NDArray[Any], shares: NDArray[np.float32], least: int
) -> Iterator[ResultRow]:
    """Mean active share of hallucinated and of faithful rows, over all layers and in each: shares [row, 1 + layer].

    A side of fewer than `least` rows is left out.
    """
    for condition, side in (("hallucinated", hallucinated), ("faithful", ~hallucinated)):
        for place in range(shares.shape[1]):
            known = side & ~np.isnan(shares[:, place])
            if known.sum() >= least:
                made = row_of(grouped_mean(shares[known, place], groups[known]), "active_share", name, condition)
                yield replace(made, stratum="all layers" if place == 0 else f"layer {place - 1}")


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
