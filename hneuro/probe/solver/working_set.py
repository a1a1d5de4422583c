"""The exact optimum over a few thousand features held in memory: proximal Newton on the few hundred that matter.

Each step solves the L1-penalised quadratic model of the loss around the current weights (Friedman et al. 2010; Lee, Sun
and Saunders 2014) on a Gram matrix; the intercept is eliminated, in the model and, exactly, in the loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.solver.loss import balance, fit_intercept, loss, lower_bound, residual
from hneuro.probe.solver.quadratic import solve_quadratic

Vector = NDArray[np.float64]
STEPS = 200  # Newton steps; 3 to 6 are usual
GROWTH = 0.3  # how many weights may leave 0 in one step, as a share of those that have: most of a rush would return
FEWEST = 64  # or this many
STRIP = 16  # features worked on at a time, so that what is done to them one after the other stays in cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One problem at one C: labels and weights of its rows [row], all weights > 0, and the strengths of the penalty."""

    y: Vector
    c: Vector
    l1: float
    l2: float
    penalised: bool  # whether the intercept is

    def at(self, f: Vector, w: Vector, start: float) -> Point:
        """The point with weights w, whose log-odds without intercept are f [row]; the intercept is fitted."""
        b1, b2 = (self.l1, self.l2) if self.penalised else (0.0, 0.0)
        b = fit_intercept(f, self.y, self.c, b1, b2, start)
        r = residual(f + b, self.y, self.c)
        return Point(f=f, w=w, b=b, r=r if self.penalised else balance(r), value=self.value(f, w, b))

    def value(self, f: Vector, w: Vector, b: float) -> float:
        """Loss and penalty at weights w and intercept b, with f [row] the log-odds without the intercept."""
        return loss(f + b, self.y, self.c) + self.penalty(np.append(w, b) if self.penalised else w)

    def penalty(self, w: Vector) -> float:
        return self.l1 * float(np.abs(w).sum()) + self.l2 * float(w @ w) / 2

    def gap(self, point: Point, gradient: Vector, unseen: float = 0.0) -> float:
        """Relative duality gap of a point, over the features whose x_j . r is given, and others within `unseen`."""
        if self.penalised:
            gradient = np.append(gradient, point.r.sum())  # the intercept is the weight of a feature that is always 1
        bound = lower_bound(point.r, self.c, gradient, unseen, self.l1, self.l2)
        return max(0.0, (point.value - bound) / point.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    f: Vector  # log-odds without the intercept [row]
    w: Vector
    b: float
    r: Vector  # the residual [row], balanced where the intercept is free
    value: float  # of the objective


def solve_working_set(
    objective: Objective, x: Columns, w: Vector, b: float, tolerance: float
) -> tuple[Point, Vector, bool]:
    """The optimum over the working set from w, its gradient x_j . r [feature], and whether it had to move.

    The relative gap over the working set is at most `tolerance`, or rounding allows no more progress. Each Newton step
    moves the weights that are not 0 and those that most want to leave 0.
    """
    on = np.flatnonzero(w)
    start = point = objective.at(w[on] @ x.wide(on), w, b)
    gradient = x.gradient(point.r)
    gap = objective.gap(point, gradient)
    for _ in range(STEPS):
        if gap <= tolerance:
            break
        moved = _newton_step(objective, x, point, gradient)
        there = x.gradient(moved.r)
        closer = objective.gap(moved, there)
        if moved.value >= point.value and closer >= gap:  # near the end the gap still tells what the value cannot
            break
        point, gradient, gap = moved, there, closer
    return point, gradient, point is not start


class Columns:
    """The features of a working set: values [feature, row] float32 as stored, with x_j = gain_j * value_j - shift_j."""

    def __init__(self, values: NDArray[np.float32], gain: Vector, shift: Vector) -> None:
        self.values, self.gain, self.shift = values, gain, shift

    def wide(self, which: NDArray[np.intp]) -> NDArray[np.float64]:
        """[feature, row] float64 of some features."""
        z = np.empty((len(which), self.values.shape[1]))
        for some in _strips(len(which)):
            here = which[some]
            z[some] = self.values[here]
            z[some] *= self.gain[here, None]
            z[some] -= self.shift[here, None]
        return z

    def gradient(self, r: Vector) -> Vector:
        """x_j . r of all features [feature], in float64."""
        out = np.empty(len(self.values))
        for some in _strips(len(out)):
            out[some] = self.values[some].astype(np.float64) @ r
        return np.asarray(self.gain * out - self.shift * r.sum())


def _strips(n: int) -> Iterator[slice]:
    """A few features at a time, so that what is done to them one after the other stays in cache."""
    return (slice(low, low + STRIP) for low in range(0, n, STRIP))


def _newton_step(objective: Objective, x: Columns, point: Point, gradient: Vector) -> Point:
    on = np.flatnonzero(point.w)
    excess = np.where(point.w == 0, np.abs(gradient) - objective.l1, 0.0)
    joining = np.flatnonzero(excess > 0)
    most = max(FEWEST, int(GROWTH * len(on)))
    if len(joining) > most:
        joining = joining[np.argpartition(-excess[joining], most)[:most]]
    inner = np.union1d(on, joining)
    z, w = x.wide(inner), point.w[inner]
    Q = _hessian(objective, z, point)
    step = solve_quadratic(Q, Q @ w + gradient[inner], objective.l1, objective.l2, w) - w
    return _line_search(objective, point, inner, step, step @ z, gradient[inner])


def _hessian(objective: Objective, z: NDArray[np.float64], point: Point) -> NDArray[np.float64]:
    """Second derivatives [feature, feature] of the loss in the weights, with the intercept following them.

    In float32, which is as good for a Newton step and half the work; the columns are centred first to lose no digits.
    """
    share = np.abs(residual(point.f + point.b, objective.y, objective.c)) / objective.c
    h = objective.c * share * (1 - share)
    along = z @ h
    centre, root_h = along / h.sum(), np.sqrt(h)
    narrow = np.empty(z.shape, np.float32)
    for some in _strips(len(z)):
        narrow[some] = (z[some] - centre[some, None]) * root_h
    Q = (narrow @ narrow.T).astype(np.float64)
    Q[np.diag_indices(len(Q))] *= 1 + 1e-6  # keeps the rounded matrix positive; damps the step, moves no optimum
    if objective.penalised:
        Q += np.outer(along, along) * (1 / h.sum() - (1 / (h.sum() + objective.l2) if point.b != 0 else 0.0))
    return Q


def _line_search(
    objective: Objective, point: Point, inner: NDArray[np.intp], step: Vector, along: Vector, gradient: Vector
) -> Point:
    """Backtracking from the full step until the decrease is a fair share of the promised one (Tseng and Yun 2009)."""
    full = point.w.copy()
    full[inner] += step
    slope = objective.penalty(full) - objective.penalty(point.w) - float(gradient @ step)
    rounding = 4e-16 * point.value
    share = 1.0
    for _ in range(30):
        w = point.w.copy()
        w[inner] = full[inner] if share == 1 else point.w[inner] + share * step
        trial = objective.at(point.f + share * along, w, point.b)
        if trial.value <= point.value + 1e-4 * share * slope + rounding:
            return trial
        share /= 2
    return point
