"""Ways to select neurons: a path of probes, from sparse to dense, by L1, elastic net or a univariate ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hneuro.progress import track
from hneuro.records import Probe, ProbeRows, UserError

GRID = (1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 35.0, 60.0, 100.0, 180.0, 320.0)


@runtime_checkable
class Selector(Protocol):
    """The part behind `probe`."""

    @property
    def name(self) -> str:
        """As it stands in tables."""

    @property
    def strengths(self) -> tuple[float, ...]:
        """What varies along the path: C, or the count of a ranking."""

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        """Probes over all neurons, one for each strength, ascending."""


@dataclass(frozen=True, kw_only=True)
class L1:
    """L1-penalised logistic regression on raw CETT, as the paper (section 2.3), by scikit-learn's liblinear.

    `C` are multiples of the smallest C that selects any neuron, so that a value means the same for every model and
    scale; with `relative_C=false` they are scikit-learn's C as they are. liblinear also penalises the intercept.
    """

    C: tuple[float, ...] = GRID
    relative_C: bool = True
    class_weight: Literal["balanced"] | None = None
    tolerance: float = 1e-4
    name: str = "l1"

    def __post_init__(self) -> None:
        _check_grid(self.C, "C")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.C

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        _check_classes(rows)
        scale = smallest_strength(rows, self.class_weight) if self.relative_C else 1.0
        probes = []
        for multiple in track(sorted(self.C), f"probe ({self.name})"):
            model = LogisticRegression(
                l1_ratio=1,
                solver="liblinear",
                C=scale * multiple,
                class_weight=self.class_weight,
                tol=self.tolerance,
                max_iter=5000,
                random_state=seed,
            ).fit(rows.x, rows.y)
            probes.append(_probe(model, rows, multiple))
        return tuple(probes)


@dataclass(frozen=True, kw_only=True)
class ElasticNet:
    """Logistic regression with L1 and L2 penalty on standardised CETT: keeps groups of correlated neurons together.

    Not the paper's selection. `C` are multiples of the smallest that selects any neuron. The intercept is free.
    """

    C: tuple[float, ...] = GRID
    l1_ratio: float = 0.5
    max_iter: int = 3000
    tolerance: float = 1e-3
    name: str = "elastic_net"

    def __post_init__(self) -> None:
        _check_grid(self.C, "C")
        if not 0 < self.l1_ratio <= 1:
            raise ValueError("l1_ratio must lie in (0, 1]")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.C

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        _check_classes(rows)
        centre, spread = _moments(rows.x)
        x = (rows.x - centre) / spread
        pull = np.abs((rows.y - rows.y.mean()) @ x).max()  # the gradient where all weights are 0
        scale = self.l1_ratio / _selective(pull)
        probes = []
        for multiple in track(sorted(self.C), f"probe ({self.name})"):
            model = LogisticRegression(
                l1_ratio=self.l1_ratio,
                solver="saga",
                C=scale * multiple,
                tol=self.tolerance,
                max_iter=self.max_iter,
                random_state=seed,
            ).fit(x, rows.y)
            standard = _probe(model, rows, multiple)
            weight = standard.weight / spread
            bias = standard.bias - float(weight @ centre)
            probes.append(Probe(weight=weight, bias=bias, strength=multiple, space=rows.space))
        return tuple(probes)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The neurons with the largest Welch t between hallucinated and faithful rows, each judged on its own.

    Not the paper's selection: it keeps all neurons of a correlated group, of which L1 keeps one.
    """

    counts: tuple[int, ...] = (10, 20, 40, 80, 160)
    name: str = "ranking"

    def __post_init__(self) -> None:
        _check_grid(self.counts, "counts")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.counts

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        _check_classes(rows)
        if max(self.counts) > rows.space.size:
            raise UserError(f"probe.counts asks for {max(self.counts)} of only {rows.space.size} neurons")
        t = t_statistic(rows)
        order = np.argsort(-t, kind="stable")
        wrong = rows.x[rows.y == 1].mean(0, dtype=np.float64)
        right = rows.x[rows.y == 0].mean(0, dtype=np.float64)
        variance = rows.x.var(0, dtype=np.float64)
        probes = []
        for count in sorted(self.counts):
            chosen = order[:count]
            weight = np.zeros(rows.space.size)
            # Naive discriminant: each neuron weighs what it would on its own.
            gain = np.maximum(wrong - right, 0.0)[chosen]
            weight[chosen] = np.divide(gain, variance[chosen], out=np.zeros(count), where=variance[chosen] > 0)
            bias = -float(weight @ (wrong + right)) / 2
            probes.append(Probe(weight=weight, bias=bias, strength=float(count), space=rows.space))
        return tuple(probes)


def t_statistic(rows: ProbeRows) -> NDArray[np.float64]:
    """Welch's t [neuron] of hallucinated against faithful rows; 0 for a neuron that never changes."""
    wrong, right = rows.x[rows.y == 1].astype(np.float64), rows.x[rows.y == 0].astype(np.float64)
    error = np.sqrt(wrong.var(0, ddof=1) / len(wrong) + right.var(0, ddof=1) / len(right))
    difference = wrong.mean(0) - right.mean(0)
    return np.asarray(np.divide(difference, error, out=np.zeros_like(difference), where=error > 0))


def smallest_strength(rows: ProbeRows, class_weight: Literal["balanced"] | None = None) -> float:
    """The C above which `L1` gives a neuron a weight, in closed form.

    Unlike scikit-learn's `l1_min_c`, which stops where the intercept moves. With unbalanced rows that is the intercept
    alone, up to a hundred times too early: it is penalised like a neuron, but reads 1 where CETT reads hundredths.
    Neuron j enters where |C sum_i v_i x_ij (y_i - p)| = 1. Up to C = 1 / |sum_i v_i (y_i - 1/2)| the intercept is 0 and
    p = 1/2; above it the intercept is optimal for p = mean(y) with a rest of 1 / (C sum_i v_i).
    """
    y = rows.y.astype(np.float64)
    weight = np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean())) if class_weight else np.ones(len(y))
    lean = float(weight @ (y - 0.5))
    balanced = abs(lean) <= 1e-9 * weight.sum()
    still = 1.0 / _selective(np.abs((weight * (y - 0.5)) @ rows.x).max())
    if balanced or still <= 1.0 / abs(lean):
        return float(still)
    pull = (weight * (y - np.average(y, weights=weight))) @ rows.x
    towards = np.sign(pull) * np.sign(lean) * np.average(rows.x, axis=0, weights=weight)
    _selective(np.abs(pull).max())
    return float(np.divide(1.0 - towards, np.abs(pull), out=np.full_like(pull, np.inf), where=pull != 0).min())


def _selective(gradient: float) -> float:
    if not gradient > 0:
        raise UserError("no neuron differs between hallucinated and faithful rows: there is nothing to select")
    return gradient


def _probe(model: LogisticRegression, rows: ProbeRows, strength: float) -> Probe:
    return Probe(
        weight=np.asarray(model.coef_[0], dtype=np.float64),
        bias=float(model.intercept_[0]),
        strength=strength,
        space=rows.space,
    )


def _moments(x: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    spread = x.std(0, dtype=np.float64)
    return x.mean(0, dtype=np.float64), np.where(spread > 0, spread, 1.0)


def _check_classes(rows: ProbeRows) -> None:
    for label, what in ((1, "hallucinated"), (0, "faithful")):
        if (rows.y == label).sum() < 2:
            raise UserError(
                f"only {(rows.y == label).sum()} {what} rows to fit the probe on: sample more questions "
                "(dataset.limit), or see in the funnel where they were lost"
            )


def _check_grid(values: Sequence[float], key: str) -> None:
    if not values or min(values) <= 0:
        raise ValueError(f"{key} needs at least one value, all above 0")
