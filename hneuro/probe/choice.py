"""Choice of the strength (C, or the count of a ranking) on the select split, and what the choice gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
    """The chosen probe and the path. `fit` and `select` are answer rows (1-vs-1), whatever the probes learnt from.

    C is chosen here, on the select split: what is published is measured on others.
    """
    for rows, name in ((fit, "fit"), (select, "select")):
        if len(set(rows.y.tolist())) < 2:
            raise UserError(
                f"the {name} split has answers of one kind only: more questions, or other splits, are needed"
            )
    path = [_measured(probe, fit, select) for probe in probes]
    useful = [n for n, point in enumerate(path) if point.positive]
    if not useful:
        raise UserError("no strength of the probe selects a neuron with positive weight: widen probe.C upwards")
    quality = {n: path[n].auroc if choice.metric == "auroc" else path[n].accuracy for n in useful}
    good = [n for n in useful if quality[n] >= max(quality.values()) - choice.tolerance]
    chosen = min(good, key=lambda n: path[n].strength)
    return probes[chosen], tuple(replace(point, chosen=n == chosen) for n, point in enumerate(path))


def _measured(probe: Probe, fit: ProbeRows, select: ProbeRows) -> PathPoint:
    on_fit, on_select = probe.scores(fit.x), probe.scores(select.x)
    threshold = youden_threshold(fit.y, on_fit)
    return PathPoint(
        strength=probe.strength,
        nonzero=int(np.count_nonzero(probe.weight)),
        positive=len(probe.positive),
        fit_accuracy=float(((on_fit > threshold) == fit.y).mean()),
        accuracy=float(((on_select > threshold) == select.y).mean()),
        auroc=float(roc_auc_score(select.y, on_select)),
        chosen=False,
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
