"""A small dense classifier on a few named features: what H-Neurons, random neurons and baselines are compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # whose submodules are loaded when they are first used
from numpy.typing import NDArray

from hneuro.neurons import ProbeRows
from hneuro.result_records import TrainedDetector
from hneuro.statistics import youden_threshold


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Logistic regression on standardised columns of x. `threshold` splits hallucinated from faithful (Youden's J)."""

    columns: tuple[int, ...]
    weight: NDArray[np.float64]
    bias: float
    threshold: float

    @classmethod
    def of(cls, trained: TrainedDetector) -> Classifier:
        """The one that a run has kept."""
        weight = np.array(trained.weights)
        return cls(columns=trained.neurons, weight=weight, bias=trained.bias, threshold=trained.threshold)

    def scores(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """x [row, feature] (all features) -> log-odds [row]."""
        return np.asarray(x[:, list(self.columns)], dtype=np.float64) @ self.weight + self.bias

    def scores_of(self, rows: ProbeRows) -> NDArray[np.float64]:
        """Log-odds [row], of which only the detector's own columns are read."""
        return self.on_columns().scores(rows.columns(self.columns))

    def risk(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """x [row, feature] -> P(hallucination) [row]."""
        return np.asarray(scipy.special.expit(self.scores(x)))

    def on_columns(self) -> Classifier:
        """The same detector for an x that holds its columns only, in their order."""
        return Classifier(
            columns=tuple(range(len(self.columns))), weight=self.weight, bias=self.bias, threshold=self.threshold
        )


def train_detector(
    x: NDArray[np.floating],
    y: NDArray[np.int8],
    columns: tuple[int, ...],
    x_select: NDArray[np.floating],
    y_select: NDArray[np.int8],
) -> Classifier:
    """Trains on the fit split and sets the threshold on the select split, the same way for whatever set of columns."""
    from sklearn.linear_model import LogisticRegression

    used = np.asarray(x[:, list(columns)], dtype=np.float64)
    centre, spread = used.mean(0), used.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    model = LogisticRegression(C=1.0, max_iter=5000).fit((used - centre) / spread, y)
    weight = np.asarray(model.coef_[0], dtype=np.float64) / spread
    bias = float(model.intercept_[0] - weight @ centre)
    untuned = Classifier(columns=columns, weight=weight, bias=bias, threshold=0.0)
    return Classifier(
        columns=columns, weight=weight, bias=bias, threshold=youden_threshold(y_select, untuned.scores(x_select))
    )
