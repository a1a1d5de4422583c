"""Exact L1-penalised logistic regression over all neurons of a feature file: a path of C, several problems at once.

The working-set method: solve on the few thousand features that may matter, pass over the file, and either prove the
optimum or take in what violates it. A smaller C starts the next larger one. Problems share each pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from hneuro.probe.solver.features import SPREAD, FeatureMatrix
from hneuro.probe.solver.problem import Penalty, Problem, Solution, SolverSettings
from hneuro.probe.solver.scan import Candidates, Scaling, exact_gradient, scan
from hneuro.probe.solver.walk import Walk
from hneuro.records import UserError

Vector = NDArray[np.float64]
POOL = 512  # features whose sums are read at once
DEFAULT_PENALTY, DEFAULT_SETTINGS = Penalty(), SolverSettings()


def solve_paths(
    features: FeatureMatrix,
    problems: Sequence[Problem],
    Cs: Sequence[float],
    penalty: Penalty = DEFAULT_PENALTY,
    settings: SolverSettings = DEFAULT_SETTINGS,
) -> list[tuple[Solution, ...]]:
    """For each problem its solutions at all C, ascending.

    All problems advance in lockstep, so that a pass over the file serves them all; each has its own working set, C_min
    and number of passes. Every solution carries the relative duality gap that proves it.
    """
    if not Cs or min(Cs) <= 0:
        raise ValueError("Cs needs at least one value, all above 0")
    if any(len(problem.y) != features.n_rows for problem in problems):
        raise ValueError(f"every problem must label the {features.n_rows} rows of the features; a row may weigh 0")
    units = smallest_C(features, problems, penalty) if settings.relative_C else [1.0] * len(problems)
    scaling = Scaling(features, penalty.standardised)
    walks = [
        Walk(scaling, problem, [unit * C for C in sorted(Cs)], penalty, settings)
        for problem, unit in zip(problems, units, strict=True)
    ]
    while active := [walk for walk in walks if not walk.done]:
        found = scan(scaling, [walk.residual for walk in active], [walk.threshold for walk in active])
        for walk, candidates in zip(active, found, strict=True):
            walk.advance(candidates)
    return [tuple(walk.solutions) for walk in walks]


def smallest_C(features: FeatureMatrix, problems: Sequence[Problem], penalty: Penalty) -> list[float]:  # noqa: N802
    """C_min of each problem: up to it every weight is 0, above it some are not. UserError if no neuron varies.

    At the null model all rows have the same p, so that x_j . r = S1_j - p S_j, with S1 the weighted sum over the rows
    of y = 1 and S that over all rows: a line in p. A free intercept fixes p, and one pass does for all problems; a
    penalised one moves while the weights are still 0, and the p at which the first neuron enters is found on a pool.
    """
    if not (np.asarray(features.moments[SPREAD]) > 0).any():
        raise UserError("every neuron has the same value in all rows: there is nothing to select")
    scaling = Scaling(features, penalty.standardised)
    entries = [_Entry(scaling, problem, penalty) for problem in problems]
    while active := [entry for entry in entries if not entry.proven]:
        for entry, candidates in zip(
            active, scan(scaling, [entry.residual for entry in active], [0.0] * len(active)), strict=True
        ):
            entry.take(candidates)
    return [1 / entry.strength for entry in entries]


class _Entry:
    """The largest penalty at which a feature of a pool enters, until a pass proves that no other enters before it."""

    def __init__(self, scaling: Scaling, problem: Problem, penalty: Penalty) -> None:
        self._scaling, self._penalty = scaling, penalty
        self._one, self._all = problem.weight * (problem.y == 1), problem.weight
        self._p = float(self._one.sum() / self._all.sum())  # what a free intercept gives
        self._pool = np.empty(0, np.intp)
        self._sums = np.empty((2, 0))  # S1 and S of the pool
        self.strength, self.proven = 0.0, False

    @property
    def residual(self) -> Vector:
        return np.asarray(self._one - self._p * self._all)

    def take(self, candidates: Candidates) -> None:
        """Let in what a pass at the present p found beyond the pool, until there is none, or p has to change."""
        bound = np.abs(candidates.gradient) + candidates.slack
        order = np.argsort(-bound)
        while True:
            above = candidates.neurons[order[bound[order] > self._penalty.l1_ratio * self.strength]]
            rivals = above[~np.isin(above, self._pool)][:POOL]
            if not rivals.size:
                break
            self._pool = np.concatenate([self._pool, rivals])
            sums = np.stack([exact_gradient(self._scaling, rivals, r) for r in (self._one, self._all)])
            self._sums = np.concatenate([self._sums, sums], axis=1)
            before = self._p
            self._enter()
            if self._p != before:
                return
        self.proven = True

    def _enter(self) -> None:
        """p and the penalty at which the first of the pool enters."""
        if self._penalty.intercept == "penalised":
            one, both = float(self._one.sum()), float(self._all.sum())
            if self._peak(0.5) >= abs(one - both / 2):
                self._p = 0.5  # before the intercept leaves 0
            else:
                self._p = float(
                    scipy.optimize.brentq(lambda p: self._peak(p) - self._intercept_l1(p), 0.5, one / both, xtol=1e-15)
                )
        self.strength = self._peak(self._p) / self._penalty.l1_ratio

    def _peak(self, p: float) -> float:
        return float(np.abs(self._sums[0] - p * self._sums[1]).max())

    def _intercept_l1(self, p: float) -> float:
        """The l1 at which the intercept alone rests at logit p."""
        ratio = self._penalty.l1_ratio
        pull = abs(float(self._one.sum()) - p * float(self._all.sum()))
        return pull * ratio / (ratio + (1 - ratio) * abs(float(scipy.special.logit(p))))
