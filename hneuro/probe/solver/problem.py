"""What the solver is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.records import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Penalty:
    """(l1_ratio |w|_1 + (1 - l1_ratio) / 2 |w|_2^2) / C, the convention of scikit-learn.

    `intercept`: "free" is not penalised; "penalised" is the weight of a feature that is always 1, as in liblinear.
    `standardised`: the weights are penalised in units of each neuron's standard deviation over all rows of the file
    (of every problem alike), and solutions are still in units of the neurons.
    """

    l1_ratio: float = 1.0
    intercept: Literal["free", "penalised"] = "free"
    standardised: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.l1_ratio <= 1:
            raise ValueError("l1_ratio must lie in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Labels y [row] (1 or 0) and weights [row] >= 0 over the rows of a feature file; a row of weight 0 takes no part.

    A fold, a resample or a labeling is a problem of its own over the same file. UserError without both classes.
    """

    y: NDArray[np.integer]
    weight: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.y.shape != self.weight.shape or not np.isfinite(self.weight).all() or (self.weight < 0).any():
            raise ValueError("y and weight must have the same length, and no weight may be negative or NaN")
        for label, what in ((1, "hallucinated (y = 1)"), (0, "faithful (y = 0)")):
            if not self.weight[self.y == label].sum() > 0:
                raise UserError(f"no {what} row takes part in the selection: it needs rows of both classes")


def problem(
    y: NDArray[np.integer], weight: NDArray[np.floating] | None = None, class_weight: Literal["balanced"] | None = None
) -> Problem:
    """A problem from labels, optional row weights, and scikit-learn's class weights (times the row weights)."""
    labels = np.asarray(y).astype(np.int8)
    weights = np.ones(len(labels)) if weight is None else np.asarray(weight, dtype=np.float64)
    given = Problem(y=labels, weight=weights)
    if class_weight is None:
        return given
    share = np.where(labels == 1, weights[labels == 1].sum(), weights[labels == 0].sum()) / weights.sum()
    return Problem(y=labels, weight=weights / (2 * share))


@dataclass(frozen=True, slots=True, kw_only=True)
class SolverSettings:
    """`relative_C`: each C is a multiple of the problem's own C_min, up to which no neuron is selected.

    `tolerance`: relative duality gap, (objective - lower bound) / objective, at which a C is done. `memory`: bytes for
    the columns of one working set; the solver needs about three times as much at its peak.
    """

    relative_C: bool = False
    tolerance: float = 1e-4
    memory: int = 96 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The optimum at one C: log-odds = x @ w + bias with w[neurons] = weights and 0 elsewhere, in units of the file.

    `objective` is the weighted sum of log(1 + exp(-s f)) with s = +-1 for y = 1 or 0, plus the penalty. `gap` is
    relative to it, and proven: the true minimum lies in [objective * (1 - gap), objective]. `passes` over the file were
    needed beyond those of smaller C. `converged` is false where rounding ended the search above the tolerance.
    """

    C: float
    neurons: NDArray[np.intp]  # ascending
    weights: NDArray[np.float64]
    bias: float
    objective: float
    gap: float
    passes: int
    converged: bool
