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
SHRINKS = 0.2  # a Gram matrix is kept while a step leaves no more than this share of the gap
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
    moves the weights that are not 0 and those that most want to leave 0. A Gram matrix serves as long as it covers
    these and a step with it still shrinks the gap well.
    """
    start = point = objective.at(x.combine(np.flatnonzero(w), w), w, b)
    gradient = x.gradient(point.r)
    gap = objective.gap(point, gradient)
    inner, Q, spent = np.empty(0, np.intp), np.empty((0, 0)), True
    for _ in range(STEPS):
        if gap <= tolerance:
            break
        wanted = _wanted(objective, point, gradient)
        if spent or not np.isin(wanted, inner).all():
            inner, Q = wanted, _hessian(objective, x, wanted, point)
        moved = _newton_step(objective, x, inner, Q, point, gradient[inner])
        there = x.gradient(moved.r)
        closer = objective.gap(moved, there)
        if moved.value >= point.value and closer >= gap and spent:
            break  # only both say so: near the end the gap still tells what the value cannot
        spent = closer > SHRINKS * gap
        point, gradient, gap = moved, there, closer
    return point, gradient, point is not start


class Columns:
    """The features of a working set: values [feature, row] float32 as stored, with x_j = gain_j * value_j - shift_j."""

    def __init__(self, values: NDArray[np.float32], gain: Vector, shift: Vector) -> None:
        self.values, self.gain, self.shift = values, gain, shift

    def combine(self, which: NDArray[np.intp], w: Vector) -> Vector:
        """sum_j w_j x_j [row] over some features, in float64; w [feature] covers all of them."""
        weights = (w * self.gain)[which]
        f = np.full(self.values.shape[1], -float(w @ self.shift))
        for some in _strips(len(which)):
            f += weights[some] @ self.values[which[some]].astype(np.float64)
        return f

    def gradient(self, r: Vector) -> Vector:
        """x_j . r of all features [feature], in float64."""
        out = np.empty(len(self.values))
        for some in _strips(len(out)):
            out[some] = self.values[some].astype(np.float64) @ r
        return np.asarray(self.gain * out - self.shift * r.sum())

    def moments(self, which: NDArray[np.intp], h: Vector) -> tuple[Vector, NDArray[np.float64]]:
        """sum_i h_i x_ij [feature] of some features, and their Gram matrix with rows weighted by h, centred by h.

        In float32, which is as good for a Newton step and half the work; to centre first loses no digits.
        """
        narrow, total = h.astype(np.float32), h.sum()
        root, sums = np.sqrt(narrow), np.empty(len(which))
        z = np.empty((len(which), len(h)), np.float32)
        for some in _strips(len(which)):
            strip = self.values[which[some]]
            along = strip @ narrow
            sums[some] = along
            strip -= (along / narrow.sum())[:, None]
            np.multiply(strip, root, out=z[some])
        gain = self.gain[which]
        gram = (z @ z.T).astype(np.float64)
        gram *= gain
        gram *= gain[:, None]
        return gain * sums - self.shift[which] * total, gram


def _strips(n: int) -> Iterator[slice]:
    """A few features at a time, so that what is done to them one after the other stays in cache."""
    return (slice(low, low + STRIP) for low in range(0, n, STRIP))


def _wanted(objective: Objective, point: Point, gradient: Vector) -> NDArray[np.intp]:
    """The features whose weight is not 0, and those of weight 0 with the largest excess over the penalty, ascending."""
    on = np.flatnonzero(point.w)
    excess = np.where(point.w == 0, np.abs(gradient) - objective.l1, 0.0)
    joining = np.flatnonzero(excess > 0)
    most = max(FEWEST, int(GROWTH * len(on)))
    if len(joining) > most:
        joining = joining[np.argpartition(-excess[joining], most)[:most]]
    return np.union1d(on, joining)


def _hessian(objective: Objective, x: Columns, inner: NDArray[np.intp], point: Point) -> NDArray[np.float64]:
    """Second derivatives [feature, feature] of the loss in some weights, with the intercept following them."""
    share = np.abs(residual(point.f + point.b, objective.y, objective.c)) / objective.c
    h = objective.c * share * (1 - share)
    sums, Q = x.moments(inner, h)
    Q[np.diag_indices(len(Q))] *= 1 + 1e-6  # keeps the rounded matrix positive; damps the step, moves no optimum
    if objective.penalised:
        Q += np.outer(sums, sums) * (1 / h.sum() - (1 / (h.sum() + objective.l2) if point.b != 0 else 0.0))
    return Q


def _newton_step(
    objective: Objective, x: Columns, inner: NDArray[np.intp], Q: NDArray[np.float64], point: Point, gradient: Vector
) -> Point:
    """The quadratic model's optimum over the features `inner`, or as far towards it as the objective goes down.

    Backtracking until the decrease is a fair share of the promised one (Tseng and Yun 2009).
    """
    w = point.w[inner]
    full = np.zeros_like(point.w)
    full[inner] = solve_quadratic(Q, Q @ w + gradient, objective.l1, objective.l2, w)
    slope = objective.penalty(full) - objective.penalty(point.w) - float(gradient @ (full[inner] - w))
    f = x.combine(np.flatnonzero(full), full)
    rounding = 4e-16 * point.value
    share = 1.0
    for _ in range(30):
        mixed = full if share == 1 else point.w + share * (full - point.w)
        trial = objective.at(point.f + share * (f - point.f), mixed, point.b)
        if trial.value <= point.value + 1e-4 * share * slope + rounding:
            return trial
        share /= 2
    return point
