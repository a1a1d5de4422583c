"""Choice of the strength (C, or the count of a ranking) on the select split, and what the choice gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from hneuro.neurons import HNeurons, Probe, ProbeRows
from hneuro.records import UserError
from hneuro.result_records import PathPoint
from hneuro.statistics import auroc_in_closed_form, rate, youden_threshold


@runtime_checkable
class Choice(Protocol):
    """The part named by `choice`."""

    @property
    def name(self) -> str:
        """As yaml names it."""

    @property
    def criterion(self) -> str:
        """What it looks for, as the report says it."""

    @property
    def suppresses(self) -> bool:
        """Whether it needs the accuracy on known questions under suppression, which costs a generation job."""

    def best(self, path: Sequence[PathPoint]) -> PathPoint:
        """One of the points of the path, all of which have neurons of positive weight."""


@dataclass(frozen=True, kw_only=True)
class Sparsest:
    """The sparsest probe whose `metric` on the select split is within `tolerance` of the best.

    The best one itself is unstable and dense: it wins by noise, and its extra neurons do not transfer. A tolerance of 0
    takes it nevertheless.
    """

    metric: Literal["auroc", "accuracy"] = "auroc"
    tolerance: float = 0.02
    name: str = "sparsest"

    def __post_init__(self) -> None:
        if self.tolerance < 0:
            raise ValueError("tolerance must not be negative")

    @property
    def criterion(self) -> str:
        measure = {"auroc": "AUROC", "accuracy": "accuracy"}[self.metric]
        if self.tolerance == 0:
            return f"best {measure} on the select split"
        return f"sparsest with {measure} on the select split within {self.tolerance:g} of the best"

    @property
    def suppresses(self) -> bool:
        return False

    def best(self, path: Sequence[PathPoint]) -> PathPoint:
        quality = {point.strength: point.auroc if self.metric == "auroc" else point.accuracy for point in path}
        good = [point for point in path if quality[point.strength] >= max(quality.values()) - self.tolerance]
        return min(good, key=lambda point: point.strength)


@dataclass(frozen=True, kw_only=True)
class AccuracyPlusKnown:
    """The best sum of held-out accuracy and accuracy on known questions while the neurons are suppressed.

    The paper's criterion (section 2.3): neurons that tell, and that the model's knowledge does not hang on. Of equal
    sums the sparsest.
    """

    name: str = "paper"

    @property
    def criterion(self) -> str:
        return "best sum of accuracy on the select split and accuracy on known questions with the neurons suppressed"

    @property
    def suppresses(self) -> bool:
        return True

    def best(self, path: Sequence[PathPoint]) -> PathPoint:
        measured = [p for p in path if p.suppressed_accuracy is not None and not np.isnan(p.suppressed_accuracy)]
        if not measured:
            raise UserError(
                "choice=paper: no answer to a known question could be judged while neurons were suppressed: "
                "use choice=sparsest, or another judge"
            )
        return min(measured, key=lambda p: (-(p.accuracy + (p.suppressed_accuracy or 0.0)), p.strength))


def choose(
    probes: Sequence[Probe],
    fit: ProbeRows,
    select: ProbeRows,
    choice: Choice,
    suppressed: Sequence[float | None] | None = None,
) -> tuple[Probe, tuple[PathPoint, ...]]:
    """The chosen probe and the path. `fit` and `select` are answer rows (1-vs-1), whatever the probes learnt from.

    `suppressed`: for each probe the accuracy on known questions while its H-Neurons are scaled by 0, where it was
    measured. C is chosen here, on the select split: what is published is measured on others.
    """
    known = suppressed if suppressed is not None else [None] * len(probes)
    path = [_measured(probe, fit, select, accuracy) for probe, accuracy in zip(probes, known, strict=True)]
    useful = [point for point in path if point.positive]
    if not useful:
        raise UserError("no strength of the probe selects a neuron with positive weight: widen probe.C upwards")
    strength = choice.best(useful).strength
    chosen = next(probe for probe in probes if probe.strength == strength)
    return chosen, tuple(replace(point, chosen=point.strength == strength) for point in path)


def _measured(probe: Probe, fit: ProbeRows, select: ProbeRows, suppressed: float | None) -> PathPoint:
    on_fit, on_select = probe.scores(fit), probe.scores(select)
    threshold = youden_threshold(fit.y, on_fit)
    right = rate(int(((on_select > threshold) == select.y).sum()), len(select.y))
    area = auroc_in_closed_form(select.y, on_select, select.groups)
    return PathPoint(
        strength=probe.strength,
        nonzero=int(np.count_nonzero(probe.weight)),
        positive=len(probe.positive),
        fit_accuracy=float(((on_fit > threshold) == fit.y).mean()),
        accuracy=right.value,
        auroc=area.value,
        suppressed_accuracy=suppressed,
        gap=probe.gap,
        chosen=False,
        n=right.n,
        accuracy_low=right.low,
        accuracy_high=right.high,
        auroc_low=area.low,
        auroc_high=area.high,
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
