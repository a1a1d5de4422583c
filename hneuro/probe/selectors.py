"""Ways to select neurons: a path of probes, from sparse to dense, by L1, elastic net or a univariate ranking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hneuro.neurons import Probe, ProbeRows
from hneuro.probe.solver import (
    FeatureMatrix,
    Penalty,
    Problem,
    SolverSettings,
    features_in_memory,
    problem,
    solve_paths,
)

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
class Penalised:
    """Logistic regression with a penalty that keeps few neurons, at several strengths of it.

    `C` are multiples of the smallest C that selects any neuron, so that a value means the same for every model and
    scale; with `relative_C=false` they are scikit-learn's C as they are. `tolerance` is the relative duality gap that
    every C is proven to.
    """

    C: tuple[float, ...] = GRID
    relative_C: bool = True
    class_weight: Literal["balanced"] | None = None
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        _check_grid(self.C, "C")
        if not self.tolerance > 0:
            raise ValueError("tolerance must be above 0: no arithmetic closes a gap to nothing")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.C

    @property
    def penalty(self) -> Penalty:
        raise NotImplementedError

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        settings = SolverSettings(relative_C=self.relative_C, tolerance=self.tolerance)
        features = features_of(rows, standardised=self.penalty.standardised)
        asked = features.problem(rows.y, class_weight=self.class_weight)
        (path,) = solve_paths(features.matrix, [asked], self.C, self.penalty, settings)
        probes = []
        for strength, solution in zip(sorted(self.C), path, strict=True):
            weight = np.zeros(rows.space.size)
            weight[solution.neurons] = solution.weights
            gap = solution.gap
            probes.append(Probe(weight=weight, bias=solution.bias, strength=strength, space=rows.space, gap=gap))
        return tuple(probes)


@dataclass(frozen=True, kw_only=True)
class L1(Penalised):
    """L1-penalised logistic regression on raw CETT (paper, section 2.3), solved exactly over all neurons.

    The published code uses liblinear, which also penalises the intercept (`intercept="penalised"`), and stops short.
    """

    intercept: Literal["free", "penalised"] = "free"
    name: str = "l1"

    @property
    def penalty(self) -> Penalty:
        return Penalty(intercept=self.intercept)


@dataclass(frozen=True, kw_only=True)
class ElasticNet(Penalised):
    """Logistic regression with L1 and L2 penalty on standardised CETT: keeps groups of correlated neurons together.

    Not the paper's selection. Solved and scaled as `L1` is.
    """

    l1_ratio: float = 0.5
    name: str = "elastic_net"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.l1_ratio <= 1:
            raise ValueError("l1_ratio must lie in (0, 1]")

    @property
    def penalty(self) -> Penalty:
        return Penalty(l1_ratio=self.l1_ratio, standardised=True)


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


def _check_grid(values: Sequence[float], key: str) -> None:
    if not values or min(values) <= 0:
        raise ValueError(f"{key} needs at least one value, all above 0")


@dataclass(frozen=True)
class Features:
    """A feature matrix whose rows may be more than those of the probe: `places` [row] are where these are."""

    matrix: FeatureMatrix
    places: NDArray[np.intp]

    def problem(
        self,
        y: NDArray[np.integer],
        weight: NDArray[np.floating] | None = None,
        class_weight: Literal["balanced"] | None = None,
    ) -> Problem:
        """The labels and weights of the probe's rows as a problem over the matrix; its other rows weigh nothing."""
        labels = np.zeros(self.matrix.n_rows, np.int8)
        weights = np.zeros(self.matrix.n_rows)
        labels[self.places] = y
        weights[self.places] = 1.0 if weight is None else weight
        return problem(labels, weights, class_weight)


def features_of(rows: ProbeRows, *, standardised: bool = False) -> Features:
    """The features of these rows: of all labelings and resamples of one large set the same file.

    `standardised`: with the mean and the deviation of each neuron over these rows, not over all of the file, which
    takes a pass.
    """
    if rows.by_neuron is None:
        return Features(features_in_memory(rows.table[rows.lines]), np.arange(len(rows.lines)))
    assert isinstance(rows.by_neuron, FeatureMatrix)
    matrix = rows.by_neuron
    if standardised and len(rows.lines) < matrix.n_rows:
        matrix = matrix.over(rows.lines)
    return Features(matrix, rows.lines)
