"""Choice of the strength (C, or the count of a ranking) on the select split, and what the choice gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.metrics import roc_auc_score

from hneuro.records import HNeurons, PathPoint, Probe, ProbeRows, UserError
from hneuro.statistics import youden_threshold


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The sparsest probe whose `metric` on the select split is within `tolerance` of the best.

    The best one itself is unstable and dense: it wins by noise, and its extra neurons do not transfer.
    """

    metric: Literal["auroc", "accuracy"] = "auroc"
    tolerance: float = 0.02


def choose(
    probes: Sequence[Probe], fit: ProbeRows, select: ProbeRows, choice: Choice
) -> tuple[Probe, tuple[PathPoint, ...]]:
    """The chosen probe and the path. `fit` and `select` are answer rows (1-vs-1), whatever the probes were trained on."""
    for rows, name in ((fit, "fit"), (select, "select")):
        if len(set(rows.y.tolist())) < 2:
            raise UserError(
                f"the {name} split has answers of one kind only: more questions, or other splits, are needed"
            )
    measured = [(probe, *_quality(probe, fit, select)) for probe in probes]
    useful = [m for m in measured if m[0].positive]
    if not useful:
        raise UserError("no strength of the probe selects a neuron with positive weight: widen probe.C upwards")
    place = {"accuracy": 2, "auroc": 3}[choice.metric]
    best = max(m[place] for m in useful)
    chosen = min((m for m in useful if m[place] >= best - choice.tolerance), key=lambda m: m[0].strength)[0]
    return chosen, tuple(
        PathPoint(
            strength=probe.strength,
            nonzero=int(np.count_nonzero(probe.weight)),
            positive=len(probe.positive),
            fit_accuracy=fit_accuracy,
            accuracy=accuracy,
            auroc=auroc,
            chosen=probe is chosen,
        )
        for probe, fit_accuracy, accuracy, auroc in measured
    )


def _quality(probe: Probe, fit: ProbeRows, select: ProbeRows) -> tuple[float, float, float]:
    on_fit, on_select = probe.scores(fit.x), probe.scores(select.x)
    threshold = youden_threshold(fit.y, on_fit)
    return (
        float(((on_fit > threshold) == fit.y).mean()),
        float(((on_select > threshold) == select.y).mean()),
        float(roc_auc_score(select.y, on_select)),
    )


def h_neurons(probe: Probe, selection: str) -> HNeurons:
    """The neurons of positive weight, heaviest first (paper, section 2.3)."""
    order = sorted(probe.positive, key=lambda n: (-probe.weight[n], n))
    return HNeurons(
        neurons=tuple(order),
        weights=tuple(float(probe.weight[n]) for n in order),
        space=probe.space,
        selection=selection,
    )
