"""The elastic net on a Gram matrix: min 1/2 w'Qw - q'w + l1 |w|_1 + l2/2 |w|_2^2.

scikit-learn's coordinate descent finds the support; a Cholesky solve on it then gives the optimum to rounding, which
coordinate descent alone reaches slowly when neurons are correlated.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
SWEEPS = 30


def solve_quadratic(Q: Matrix, q: Vector, l1: float, l2: float, w: Vector, rounds: int = 20) -> Vector:
    """The minimiser [feature], from w. The optimality conditions hold to 1e-9 l1, or `rounds` are over."""
    for _ in range(rounds):
        w = _polish(Q, q, l1, l2, _sweeps(Q, q, l1, l2, w))
        if _violation(Q, q, l1, l2, w) <= 1e-9 * l1:
            break
    return w


def _sweeps(Q: Matrix, q: Vector, l1: float, l2: float, w: Vector) -> Vector:
    """A few rounds of coordinate descent. With one "row" enet_path's alpha is l1 + l2, not divided by the rows."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import enet_path

    total = l1 + l2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the caller checks the optimality conditions itself
        _, path, _ = enet_path(
            np.empty((1, len(q)), order="F"),
            np.ones(1),
            precompute=Q,
            Xy=q,
            alphas=[total],
            l1_ratio=l1 / total,
            coef_init=w.copy(),  # it is worked on in place
            max_iter=SWEEPS,
            tol=0.0,
            check_input=False,
            do_screening=False,
        )
    return np.asarray(path[:, 0])


def _polish(Q: Matrix, q: Vector, l1: float, l2: float, w: Vector) -> Vector:
    """Newton steps among weights of fixed sign (the feature-sign step of Lee et al. 2007).

    What changes sign on the way is set to 0 if that is downhill; else the step ends at the first change of sign.
    """
    while (on := np.flatnonzero(w)).size:
        target = np.zeros_like(w)
        A = Q[np.ix_(on, on)]
        A[np.diag_indices(len(on))] += l2
        try:
            target[on] = scipy.linalg.cho_solve(scipy.linalg.cho_factor(A, lower=True), q[on] - l1 * np.sign(w[on]))
        except scipy.linalg.LinAlgError:  # duplicate neurons: coordinate descent alone
            return w
        crossed = target * w < 0
        if not crossed.any():
            return target
        clipped = np.where(crossed, 0.0, target)
        if _value(Q, q, l1, l2, clipped) >= _value(Q, q, l1, l2, w):
            share = w[crossed] / (w[crossed] - target[crossed])
            clipped = w + share.min() * (target - w)
            clipped[np.flatnonzero(crossed)[share.argmin()]] = 0.0
        w = clipped
    return w


def _value(Q: Matrix, q: Vector, l1: float, l2: float, w: Vector) -> float:
    return float(w @ (0.5 * (Q @ w) - q + 0.5 * l2 * w) + l1 * np.abs(w).sum())


def _violation(Q: Matrix, q: Vector, l1: float, l2: float, w: Vector) -> float:
    """How far the optimality conditions are from holding."""
    gradient = q - Q @ w - l2 * w
    return float(np.where(w != 0, np.abs(gradient - l1 * np.sign(w)), np.abs(gradient) - l1).max(initial=0.0))
