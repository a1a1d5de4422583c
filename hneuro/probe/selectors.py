"""Ways to select neurons: a path of probes, from sparse to dense, by L1, elastic net or a univariate ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.features import features_of
from hneuro.probe.solver import Penalty, Settings, smallest_C, solve_paths
from hneuro.progress import track
from hneuro.records import Probe, ProbeRows, UserError

GRID = (1.5, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 35.0, 60.0, 100.0, 180.0, 320.0)


@runtime_checkable
class Selector(Protocol):
    """The part named by `probe`."""

    @property
    def name(self) -> str:
        """As tables name it."""

    @property
    def strengths(self) -> tuple[float, ...]:
        """What varies along the path: C, or the count of a ranking."""

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        """Probes over all neurons, one for each strength, ascending."""


@dataclass(frozen=True, kw_only=True)
class L1:
    """L1-penalised logistic regression on raw CETT (paper, section 2.3), solved exactly over all neurons.

    `C` are multiples of the smallest C that selects any neuron, so that a value means the same for every model and
    scale; with `relative_C=false` they are scikit-learn's C as they are. `tolerance` is the relative duality gap that
    every C is proven to. The published code uses liblinear, which also penalises the intercept: `Liblinear`.
    """

    C: tuple[float, ...] = GRID
    relative_C: bool = True
    intercept: Literal["free", "penalised"] = "free"
    class_weight: Literal["balanced"] | None = None
    tolerance: float = 1e-4
    name: str = "l1"

    def __post_init__(self) -> None:
        _check_grid(self.C, "C")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.C

    @property
    def penalty(self) -> Penalty:
        return Penalty(intercept=self.intercept)

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        return _exact_path(self, rows)


@dataclass(frozen=True, kw_only=True)
class ElasticNet:
    """Logistic regression with L1 and L2 penalty on standardised CETT: keeps groups of correlated neurons together.

    Not the paper's selection. Solved and scaled as `L1` is.
    """

    C: tuple[float, ...] = GRID
    relative_C: bool = True
    l1_ratio: float = 0.5
    class_weight: Literal["balanced"] | None = None
    tolerance: float = 1e-4
    name: str = "elastic_net"

    def __post_init__(self) -> None:
        _check_grid(self.C, "C")
        if not 0 < self.l1_ratio <= 1:
            raise ValueError("l1_ratio must lie in (0, 1]")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.C

    @property
    def penalty(self) -> Penalty:
        return Penalty(l1_ratio=self.l1_ratio, standardised=True)

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        return _exact_path(self, rows)


@dataclass(frozen=True, kw_only=True)
class Liblinear:
    """`L1` as the published code computes it: scikit-learn's liblinear, which penalises the intercept like a neuron.

    For parity. At its default tolerance it stops short of the optimum where there are many neurons, and it needs 36
    bytes of memory for each of rows x neurons.
    """

    C: tuple[float, ...] = GRID
    relative_C: bool = True
    class_weight: Literal["balanced"] | None = None
    tolerance: float = 1e-4
    name: str = "liblinear"

    def __post_init__(self) -> None:
        _check_grid(self.C, "C")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.C

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        from sklearn.linear_model import LogisticRegression

        _check_classes(rows)
        scale = 1.0
        if self.relative_C:
            features = features_of(rows)
            asked = features.problem(rows.y, class_weight=self.class_weight)
            (scale,) = smallest_C(features.matrix, [asked], Penalty(intercept="penalised"))
        x = rows.columns(range(rows.space.size))
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
            ).fit(x, rows.y)
            weight, bias = np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])
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
        best = rows.columns(order[: max(self.counts)].tolist())
        wrong = best[rows.y == 1].mean(0, dtype=np.float64)
        right = best[rows.y == 0].mean(0, dtype=np.float64)
        variance = best.var(0, dtype=np.float64)
        # Naive discriminant: each neuron weighs what it would on its own.
        gain = np.divide(np.maximum(wrong - right, 0.0), variance, out=np.zeros(len(variance)), where=variance > 0)
        probes = []
        for count in sorted(self.counts):
            weight = np.zeros(rows.space.size)
            weight[order[:count]] = gain[:count]
            bias = -float(gain[:count] @ (wrong + right)[:count]) / 2
            probes.append(Probe(weight=weight, bias=bias, strength=float(count), space=rows.space))
        return tuple(probes)


def t_statistic(rows: ProbeRows) -> NDArray[np.float64]:
    """Welch's t [neuron] of hallucinated against faithful rows; 0 for a neuron that never changes."""
    t = np.zeros(rows.space.size)
    for low, block in rows.blocks():
        wrong, right = block[rows.y == 1].astype(np.float64), block[rows.y == 0].astype(np.float64)
        error = np.sqrt(wrong.var(0, ddof=1) / len(wrong) + right.var(0, ddof=1) / len(right))
        difference = wrong.mean(0) - right.mean(0)
        np.divide(difference, error, out=t[low : low + len(error)], where=error > 0)
    return t


def _exact_path(selector: L1 | ElasticNet, rows: ProbeRows) -> tuple[Probe, ...]:
    _check_classes(rows)
    settings = Settings(relative_C=selector.relative_C, tolerance=selector.tolerance)
    features = features_of(rows, standardised=selector.penalty.standardised)
    asked = features.problem(rows.y, class_weight=selector.class_weight)
    (path,) = solve_paths(features.matrix, [asked], selector.C, selector.penalty, settings)
    probes = []
    for strength, solution in zip(sorted(selector.C), path, strict=True):
        weight = np.zeros(rows.space.size)
        weight[solution.neurons] = solution.weights
        probes.append(Probe(weight=weight, bias=solution.bias, strength=strength, space=rows.space, gap=solution.gap))
    return tuple(probes)


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
