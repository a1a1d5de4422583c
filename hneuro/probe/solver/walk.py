"""One problem on its way along the path of C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.solver.problem import Penalty, Problem, Solution, SolverSettings
from hneuro.probe.solver.scan import Candidates, Scaling, exact_gradient
from hneuro.probe.solver.working_set import Columns, Objective, solve_working_set

Vector = NDArray[np.float64]
NEAR = 0.4  # features whose gradient exceeds this share of the penalty enter beforehand: cheaper than another pass


class Walk:
    """Between two passes over the file it holds its weights, its residual and one gradient, and no features."""

    def __init__(
        self, scaling: Scaling, problem: Problem, Cs: Sequence[float], penalty: Penalty, settings: SolverSettings
    ) -> None:
        self._scaling, self._penalty, self._settings = scaling, penalty, settings
        self._rows = np.flatnonzero(problem.weight > 0)
        self._y, self._c = problem.y[self._rows].astype(np.float64), problem.weight[self._rows]
        self._Cs = Cs
        self._passes = 0
        self._set = np.empty(0, np.intp)  # the working set, ascending, and its exact gradient
        self._gradient = np.empty(0)
        self._point = self._objective(0).at(np.zeros(len(self._rows)), np.empty(0), 0.0)
        self.solutions: list[Solution] = []

    @property
    def done(self) -> bool:
        return len(self.solutions) == len(self._Cs)

    @property
    def residual(self) -> Vector:
        """r [row of the file], to be multiplied with every feature."""
        full = np.zeros(self._scaling.features.n_rows)
        full[self._rows] = self._point.r
        return full

    @property
    def threshold(self) -> float:
        """The smallest gradient that the next C will ask about; the first pass keeps the largest, whatever they are."""
        following = min(len(self.solutions) + 1, len(self._Cs) - 1)
        return NEAR * self._objective(following).l1 if self._passes or self.solutions else 0.0

    def advance(self, candidates: Candidates) -> None:
        """Take in what a pass found: record each C that it proves, then solve for the first that it does not."""
        self._passes += 1
        while not self.done:
            gap = self._gap(candidates, self._settings.tolerance)
            if gap <= self._settings.tolerance:
                self._record(gap, converged=True)
            elif self._solve(candidates) or not self._passes:
                return
            else:
                self._record(self._gap(candidates), converged=False)

    def _objective(self, k: int) -> Objective:
        ratio = self._penalty.l1_ratio
        return Objective(
            y=self._y,
            c=self._c,
            l1=ratio / self._Cs[k],
            l2=(1 - ratio) / self._Cs[k],
            penalised=self._penalty.intercept == "penalised",
        )

    def _gap(self, candidates: Candidates, enough: float = np.inf) -> float:
        """The proven gap at the present C: exact gradients for whatever might violate it, bounds for all others.

        If the gap is above `enough` for certain, what is returned is merely also above it, and no violator is read.
        """
        objective = self._objective(len(self.solutions))
        new = ~np.isin(candidates.neurons, self._set, assume_unique=True)
        size, slack = np.abs(candidates.gradient[new]), candidates.slack[new]
        doubtful = size + slack > objective.l1
        least = np.append(self._gradient, np.maximum(size - slack, 0.0))
        optimistic = objective.gap(self._point, least)
        if optimistic > enough:
            return optimistic
        exact = exact_gradient(self._scaling, candidates.neurons[new][doubtful], self.residual)
        unseen = max(candidates.ceiling, float((size + slack)[~doubtful].max(initial=0.0)))
        return objective.gap(self._point, np.append(self._gradient, exact), unseen)

    def _solve(self, candidates: Candidates) -> bool:
        """Move to the optimum over the support and the largest gradients; whether there was anything to gain.

        For a C just begun these are the ones that the sequential strong rule keeps (Tibshirani et al. 2012), where its
        steps are small enough for the rule to discard more than NEAR does.
        """
        k = len(self.solutions)
        objective = self._objective(k)
        share = NEAR if self._passes else max(NEAR, 2 - self._Cs[k] / self._Cs[k - 1])
        chosen = candidates.neurons[np.abs(candidates.gradient) >= share * objective.l1]
        limit = max(1, self._settings.memory // self._scaling.features.bytes_in_memory)
        if len(chosen) > limit:
            chosen = candidates.neurons[np.argpartition(-np.abs(candidates.gradient), limit)[:limit]]
        support = self._set[self._point.w != 0]
        neurons = np.union1d(chosen, support)
        w = np.zeros(len(neurons))
        w[np.searchsorted(neurons, support)] = self._point.w[self._point.w != 0]
        values = self._scaling.features.columns(neurons)
        if len(self._rows) < values.shape[1]:
            values = values[:, self._rows]
        x = Columns(values, self._scaling.gain(neurons), self._scaling.shift(neurons))
        self._set = neurons
        self._point, self._gradient, moved = solve_working_set(
            objective, x, w, self._point.b, self._settings.tolerance / 4
        )
        return moved

    def _record(self, gap: float, converged: bool) -> None:
        on = self._point.w != 0
        neurons, w = self._set[on], self._point.w[on]
        slope = self._scaling.gain(neurons) / self._scaling.unit(neurons)
        self.solutions.append(
            Solution(
                C=self._Cs[len(self.solutions)],
                neurons=neurons,
                weights=w * slope,
                bias=self._point.b - float(w @ self._scaling.shift(neurons)),
                objective=self._point.value,
                gap=gap,
                passes=self._passes,
                converged=converged,
            )
        )
        self._passes = 0
        if not self.done:  # the same weights cost less at the next C
            value = self._objective(len(self.solutions)).value(self._point.f, self._point.w, self._point.b)
            self._point = replace(self._point, value=value)
