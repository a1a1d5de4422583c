"""The dense classifier behind every condition, and the baseline features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from hneuro.detection.detector import train_detector
from hneuro.detection.scored import baseline_features
from hneuro.records import AnswerSpan, LabelledResponse, Response

DRAW = np.random.default_rng(0)
Y = np.array([1, 0] * 40, dtype=np.int8)
X = (DRAW.lognormal(0, 1, (80, 6)) * [1, 10, 100, 1e-3, 1, 1] + np.outer(Y, [1, 0, 80, 0, 0, 0])).astype(np.float32)
COLUMNS = (4, 0, 2)


def test_scores_are_those_of_a_standardised_logistic_regression() -> None:
    detector = train_detector(X, Y, COLUMNS, X, Y)
    scaler = StandardScaler().fit(X[:, COLUMNS].astype(float))
    direct = LogisticRegression(max_iter=5000).fit(scaler.transform(X[:, COLUMNS].astype(float)), Y)
    standard = scaler.transform(X[:, COLUMNS].astype(float))
    np.testing.assert_allclose(detector.scores(X), direct.decision_function(standard), atol=1e-6)
    np.testing.assert_allclose(detector.risk(X), direct.predict_proba(standard)[:, 1], atol=1e-6)


def test_a_constant_column_says_nothing() -> None:
    constant = X.copy()
    constant[:, 0] = 3
    detector = train_detector(constant, Y, COLUMNS, constant, Y)
    assert np.isfinite(detector.scores(constant)).all()
    moved = constant.copy()
    moved[:, 0] = 300
    np.testing.assert_allclose(detector.scores(moved), detector.scores(constant), atol=1e-6)


def test_baselines_read_the_answer_tokens_alone() -> None:
    response = Response(
        question_id="q",
        sample=2,
        prompt_ids=(1, 2),
        token_ids=(5, 6, 7, 8),
        text="",
        logprobs=(-9.0, -1.0, -2.0, -9.0),
        entropies=(9.0, 0.5, 1.5, 9.0),
    )
    span = AnswerSpan(question_id="q", sample=2, tokens=(1, 2), text="", method="")
    item = LabelledResponse(question_id="q", group="e", sample=2, hallucinated=True)
    features = baseline_features([item, item], {("q", 2): response}, {("q", 2): span})
    np.testing.assert_allclose(features, [[-1.5, 1.0, 2.0]] * 2)
    untold = replace(response, logprobs=(), entropies=())
    (found,) = baseline_features([item], {("q", 2): untold}, {("q", 2): span})
    np.testing.assert_array_equal(found, [np.nan, np.nan, 2.0])
    with pytest.raises(KeyError):
        baseline_features([item], {("q", 2): response}, {})
