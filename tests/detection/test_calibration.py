"""Calibration: by hand, by scikit-learn, and on probabilities that are right, or right at another prevalence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_curve

from hneuro.detection.calibration import Platt, calibration_rows, measures
from hneuro.result_records import ResultRow

N = 1500


def drawn(prevalence: float, n: int = N, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Scores whose log-odds at equal shares are 2 x score - 2, and labels of a prevalence."""
    draw = np.random.default_rng(seed)
    y = (draw.random(n) < prevalence).astype(np.int8)
    return draw.normal(size=n) + 2 * y, y


def rows(prevalence: float, told: float) -> dict[tuple[str, str], ResultRow]:
    """Of a detector that is fitted on balanced rows, and told a prevalence."""
    platt = Platt.fitted(*drawn(0.5, 4000, seed=1), told)
    scores, y = drawn(prevalence)
    groups = np.array([f"entity {n // 2}" for n in range(N)])
    return {(r.metric, r.stratum): r for r in calibration_rows("people", "h_neurons", y, platt.risk(scores), groups)}


def test_a_score_becomes_a_probability_of_the_prevalence_that_it_is_told() -> None:
    scores, y = drawn(0.5, 20_000)
    half, tenth = (Platt.fitted(scores, y, share) for share in (0.5, 0.1))
    assert (half.slope, half.offset) == pytest.approx((2, -2), abs=0.15)
    assert tenth.slope == half.slope
    assert tenth.offset == pytest.approx(half.offset + np.log(1 / 9), abs=0.1)


def test_what_is_right_is_calibrated_and_what_was_told_another_prevalence_is_not() -> None:
    right, wrong = rows(0.2, told=0.2), rows(0.2, told=0.5)
    assert right["prevalence", ""].value == pytest.approx(0.2, abs=0.03)
    assert right["ece", ""].value < 0.03
    assert wrong["ece", ""].value > 0.08
    assert right["brier", ""].value < wrong["brier", ""].value
    assert right["brier_skill", ""].value > 0.3
    for metric in ("auroc", "auprc", "aurc", "recall_at_5"):
        assert right[metric, ""].value == wrong[metric, ""].value, "ranks do not know of a prevalence"
    for row in right.values():
        assert row.stage == "calibration"
        assert row.low is not None
        assert row.high is not None
        assert row.low <= row.value <= row.high, row.metric
    bins = [r for (metric, _), r in right.items() if metric == "reliability"]
    assert len(bins) == 10
    assert sum(r.n for r in bins) == N
    inside = sum(r.low <= float(r.stratum) <= r.high for r in bins if r.low is not None and r.high is not None)
    assert inside >= 8


def test_measures_by_hand() -> None:
    y, risk, bins = np.array([0, 1, 0, 1], dtype=np.int8), np.array([0.1, 0.3, 0.6, 0.9]), np.array([0, 0, 1, 1])
    found = measures(y, risk, bins, np.ones(4))
    assert found["ece"] == pytest.approx((0.6 + 0.5) / 4)
    assert found["brier"] == pytest.approx((0.1**2 + 0.7**2 + 0.6**2 + 0.1**2) / 4)
    assert found["brier_skill"] == pytest.approx(1 - found["brier"] / 0.25)
    assert found["aurc"] == pytest.approx(np.mean([0, 1 / 2, 1 / 3, 1 / 2]))
    assert found["recall_at_10"] == 0.5
    ends = measures(y, risk, bins, np.array([1, 0, 0, 1.0]))
    assert (ends["recall_at_1"], ends["ece"]) == (1.0, pytest.approx(0.1))
    assert measures(y, np.full(4, 0.5), bins, np.ones(4))["aurc"] == 0.5, "what is of one risk cannot be chosen from"


def test_ranks_at_the_prevalence_are_what_scikit_learn_says() -> None:
    found = rows(0.2, told=0.2)
    scores, y = drawn(0.2)
    assert found["auprc", ""].value == pytest.approx(average_precision_score(y, scores))
    alarms, recall, _ = roc_curve(y, scores)
    for percent in (1, 5, 10):
        assert found[f"recall_at_{percent}", ""].value == recall[alarms <= percent / 100].max()
    order = np.argsort(scores)
    assert found["aurc", ""].value == pytest.approx(np.mean(np.cumsum(y[order]) / np.arange(1, N + 1)))
    assert found["risk_at_coverage", "100 %"].value == pytest.approx(y.mean())
    half = found["risk_at_coverage", "50 %"]
    assert (half.value, half.n) == (pytest.approx(y[order][: N // 2].mean()), N // 2)
