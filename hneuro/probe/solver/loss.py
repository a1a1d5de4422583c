"""The logistic loss, the intercept that belongs to given weights, and the lower bound that a residual proves.

With s_i = 2 y_i - 1 the loss is L(f) = sum_i c_i log(1 + exp(-s_i f_i)). Its residual r_i = -dL/df_i = c_i (y_i - p_i),
p_i = 1 / (1 + exp(-f_i)), is also the dual variable.
"""

from __future__ import annotations

import numpy as np
import scipy
from numpy.typing import NDArray

Vector = NDArray[np.float64]


def loss(f: Vector, y: Vector, c: Vector) -> float:
    """L at log-odds f [row] for labels y [row] in {0, 1} and weights c [row]."""
    return float(c @ np.logaddexp(0.0, np.where(y == 1, -f, f)))


def residual(f: Vector, y: Vector, c: Vector) -> Vector:
    """r [row] = c (y - p), without cancellation where p is near y."""
    sign = 2 * y - 1
    return np.asarray(sign * c * scipy.special.expit(-sign * f))


def fit_intercept(f: Vector, y: Vector, c: Vector, l1: float, l2: float, start: float) -> float:
    """The b that minimises L(f + b) + l1 |b| + l2 b^2 / 2, to rounding, by Newton steps inside a bracket.

    l1 = l2 = 0 is the free intercept, which needs both classes.
    """
    slope = float(residual(f, y, c).sum())
    if abs(slope) <= l1:
        return 0.0
    side = l1 * np.sign(slope)
    low, high = (0.0, np.inf) if slope > 0 else (-np.inf, 0.0)
    b = start if low < start < high else 0.0
    for _ in range(100):
        r = residual(f + b, y, c)
        downhill = float(r.sum()) - side - l2 * b
        if downhill == 0:
            break
        low, high = (b, high) if downhill > 0 else (low, b)
        curvature = float((np.abs(r) * (1 - np.abs(r) / c)).sum()) + l2
        step = downhill / curvature if curvature > 0 else np.inf
        new = b + float(np.clip(step, -5.0, 5.0))
        if abs(new - b) <= 4e-16 * max(1.0, abs(b)):
            break
        if not low < new < high:
            new = (low + high) / 2
        b = new
    return b


def balance(r: Vector) -> Vector:
    """r with the heavier class scaled down so that its sum is 0: what the dual of a free intercept asks for.

    At the best intercept this changes the last digits only.
    """
    up, down = float(r[r > 0].sum()), -float(r[r < 0].sum())
    return np.where(r > 0, r * min(1.0, down / up), r * min(1.0, up / down))


def lower_bound(r: Vector, c: Vector, gradient: Vector, unseen: float, l1: float, l2: float) -> float:
    """A value that the objective cannot fall below, by Fenchel duality, from any residual r [row] with 0 <= |r| <= c.

    For each s in [0, 1], with a = s |r| / c:
        minimum >= - sum_i c_i (a_i log a_i + (1 - a_i) log(1 - a_i)) - sum_j max(0, s |x_j . r| - l1)^2 / (2 l2),
    where l2 = 0 means that s |x_j . r| <= l1 must hold for every feature j; a free intercept needs sum r = 0.
    `gradient` holds x_j . r of some features; all others lie within `unseen`. The better of s = 1 and the s that
    makes all feasible is taken (dual scaling: Massias et al. 2018, celer; elastic net: Ndiaye et al. 2017).
    """
    peak = max(unseen, float(np.abs(gradient).max(initial=0.0)))
    scales = {min(1.0, l1 / peak) if peak > 0 else 1.0}
    if l2 > 0:
        scales.add(min(1.0, l1 / unseen) if unseen > 0 else 1.0)
    return max(_dual(s, r, c, gradient, l1, l2) for s in scales)


def _dual(s: float, r: Vector, c: Vector, gradient: Vector, l1: float, l2: float) -> float:
    a = s * np.abs(r) / c
    value = -float(c @ (scipy.special.xlogy(a, a) + scipy.special.xlogy(1 - a, 1 - a)))
    if l2 > 0:
        over = np.maximum(0.0, s * np.abs(gradient) - l1)
        value -= float(over @ over) / (2 * l2)
    return value
