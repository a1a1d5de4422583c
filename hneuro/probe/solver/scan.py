"""One pass over the file: the gradients of several problems at once, of which only those that can matter are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.probe.solver.features import MEAN, NORM, SPREAD, UNIT, FeatureMatrix

Vector = NDArray[np.float64]
KEEP = 16384  # candidates of a problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """The features whose gradient may reach a threshold, and a bound on all others.

    `gradient` [candidate] is x_j . r in float32 arithmetic; the exact value lies within `slack` [candidate] of it.
    """

    neurons: NDArray[np.intp]  # ascending
    gradient: Vector
    slack: Vector
    ceiling: float  # |x_j . r| of no other feature exceeds this


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the solver's features come from the stored values: x_j = gain_j * value_j - shift_j. Nothing is copied."""

    features: FeatureMatrix
    standardised: bool

    def unit(self, which: slice | NDArray[np.intp]) -> Vector:
        """The stored values times this are those of the model."""
        return np.asarray(self.features.moments[UNIT, which])

    def gain(self, which: slice | NDArray[np.intp]) -> Vector:
        return self.unit(which) * self._inverse_spread(which) if self.standardised else self.unit(which)

    def shift(self, which: slice | NDArray[np.intp]) -> Vector:
        mean = np.asarray(self.features.moments[MEAN, which])
        return mean * self._inverse_spread(which) if self.standardised else np.zeros_like(mean)

    def norm(self, which: slice | NDArray[np.intp]) -> Vector:
        """Euclidean norm over all rows of gain_j * value_j."""
        norm = np.asarray(self.features.moments[NORM, which])
        return norm * self._inverse_spread(which) if self.standardised else norm

    def _inverse_spread(self, which: slice | NDArray[np.intp]) -> Vector:
        spread = np.asarray(self.features.moments[SPREAD, which])
        return np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)  # a constant is never selected


def scan(scaling: Scaling, residuals: Sequence[Vector], thresholds: Sequence[float]) -> list[Candidates]:
    """Candidates of each residual [row]: the features with |x_j . r| at or above its threshold, KEEP of them at most.

    The products are float32. A sum of n of them errs by at most n u / (1 - n u) |values_j| |r|, u = 2^-24, in whatever
    order it is taken (Higham 2002, section 3.1), and this bound is kept with each candidate and in the ceiling.
    """
    features = scaling.features
    narrow = np.stack(residuals, axis=1).astype(np.float32)
    sums = np.array([r.sum() for r in residuals])
    n_u = (features.n_rows + 2) * 2.0**-24  # two more for the rounding of r and of the result
    error = n_u / (1 - n_u) * np.array([np.linalg.norm(r) for r in residuals])
    found = [_Keeper(threshold) for threshold in thresholds]
    for low, block in features.blocks():
        here = slice(low, low + len(block))
        gradient = scaling.gain(here)[:, None] * (block @ narrow) - scaling.shift(here)[:, None] * sums
        slack = scaling.norm(here)[:, None] * error
        bound = np.abs(gradient) + slack
        for p, keeper in enumerate(found):
            keeper.add(low, gradient[:, p], slack[:, p], bound[:, p])
    return [keeper.candidates() for keeper in found]


def exact_gradient(scaling: Scaling, neurons: NDArray[np.intp], r: Vector) -> Vector:
    """x_j . r [neuron] in float64, read again from the file."""
    out = np.empty(len(neurons))
    for low in range(0, len(neurons), scaling.features.block):
        some = slice(low, low + scaling.features.block)
        out[some] = scaling.features.columns(neurons[some]).astype(np.float64) @ r
    return np.asarray(scaling.gain(neurons) * out - scaling.shift(neurons) * r.sum())


class _Keeper:
    """Collects one problem's candidates; when there are too many, the threshold rises to that of the KEEP largest."""

    def __init__(self, threshold: float) -> None:
        self.threshold, self.ceiling, self.count = threshold, 0.0, 0
        self.parts: list[NDArray[np.float64]] = []  # [4, candidate]: bound, neuron, gradient, slack

    def add(self, low: int, gradient: Vector, slack: Vector, bound: Vector) -> None:
        on = np.flatnonzero(bound >= self.threshold)
        if len(on) < len(bound):
            self.ceiling = max(self.ceiling, float(np.max(bound, where=bound < self.threshold, initial=0.0)))
        if len(on):
            self.parts.append(np.stack([bound[on], on + float(low), gradient[on], slack[on]]))
            self.count += len(on)
            if self.count > 2 * KEEP:
                self._trim()

    def _trim(self) -> None:
        table = np.concatenate(self.parts, axis=1)
        order = np.argpartition(table[0], len(table[0]) - KEEP)
        self.ceiling = max(self.ceiling, float(table[0, order[:-KEEP]].max()))
        self.parts, self.count = [table[:, np.sort(order[-KEEP:])]], KEEP
        self.threshold = max(self.threshold, float(self.parts[0][0].min()))

    def candidates(self) -> Candidates:
        if self.count > KEEP:
            self._trim()
        table = np.concatenate(self.parts, axis=1) if self.parts else np.empty((4, 0))
        return Candidates(neurons=table[1].astype(np.intp), gradient=table[2], slack=table[3], ceiling=self.ceiling)
