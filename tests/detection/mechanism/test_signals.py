"""Signals that could tell a hallucination: semantic clusters of samples, sparsity, and all of them in one table."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hneuro.detection.mechanism.signals import (
    SIGNALS,
    active_share,
    as_signals,
    cross_fitted,
    entity_folds,
    hoyer,
    remaining_rows,
    signal_rows,
)
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import NeuronSpace, ProbeRows
from hneuro.result_records import ResultRow

N = 400
DRAW = np.random.default_rng(5)
Y = np.array([1, 0] * (N // 2), np.int8)
GROUPS = np.array([f"e{n // 4}" for n in range(N)])
COUNTS = np.round(np.exp(3 - 1.2 * Y + 1.5 * DRAW.standard_normal(N)))  # rare things are made up more often
LOGPROB = -np.abs(DRAW.standard_normal(N)) - 0.3 * Y
OWN = 0.9 * Y + DRAW.standard_normal(N)  # tells, and knows nothing of frequency


def of(score: NDArray[np.float64], name: str = "set", **more: NDArray[np.float64]) -> AnswerSet:
    known = {"h_neurons": score, "logprob": LOGPROB, "rarity": COUNTS, **more}
    x = np.zeros((N, 2), np.float32)
    rows = ProbeRows.of(x=x, y=Y, groups=GROUPS, space=NeuronSpace(n_layers=1, width=2))
    return AnswerSet(name=name, rows=rows, baselines=as_signals(known, N))


def one(rows: list[ResultRow], metric: str, condition: str) -> ResultRow:
    (found,) = [r for r in rows if (r.metric, r.condition) == (metric, condition)]
    return found


def test_signals_are_turned_and_compared_with_the_neurons_on_the_same_rows() -> None:
    half = np.where(np.arange(N) < N // 2, 0.5 * Y, np.nan)
    rows = list(
        signal_rows([of(OWN, unsure=half)], {("set", "unsure"): "nobody asked", ("set", "entropy"): "not told"})
    )
    assert one(rows, "auroc", "rarity").value > 0.6 < one(rows, "auroc", "h_neurons").value
    assert one(rows, "auroc", "logprob").value > 0.5
    unsure = one(rows, "auroc", "unsure")
    assert (unsure.value, unsure.n, unsure.note) == (1.0, N // 2, f"{N // 2} of {N} answers: nobody asked")
    entropy = one(rows, "auroc", "entropy")
    assert np.isnan(entropy.value)
    assert (entropy.n, entropy.note) == (0, "not told")
    difference = one(rows, "auroc_minus_h_neurons", "rarity")
    areas = [one(rows, "auroc", name).value for name in ("rarity", "h_neurons")]
    assert difference.value == pytest.approx(areas[0] - areas[1])
    assert difference.n == N
    assert difference.p_value is not None
    assert one(rows, "auroc_minus_h_neurons", "unsure").n == N // 2
    assert not [r for r in rows if r.metric.startswith("auroc_minus") and r.condition == "entropy"]
    assert one(rows, "auroc_minus_logprob", "rarity").value > 0
    assert {r.condition for r in rows if r.metric == "auroc"} == set(SIGNALS)


def test_a_copy_of_frequency_adds_nothing_and_an_independent_signal_adds() -> None:
    def gain(score: NDArray[np.float64]) -> tuple[ResultRow, ResultRow]:
        rows = list(remaining_rows([of(score)], folds=5, min_per_class=20, seed=0))
        assert one(rows, "auroc", "covariates").note == "held fixed: rarity, logprob"
        added = one(rows, "auroc_minus_covariates", "covariates+h_neurons")
        areas = [one(rows, "auroc", name).value for name in ("covariates+h_neurons", "covariates")]
        assert added.value == pytest.approx(areas[0] - areas[1])
        return added, one(rows, "auroc_within_covariates", "h_neurons")

    copy, within = gain(-np.log1p(COUNTS))
    assert abs(copy.value) < 0.01
    assert copy.p_value is not None
    assert copy.p_value > 0.05
    assert copy.low is not None
    assert copy.low <= 0.005
    assert abs(within.value - 0.5) < 0.15
    added, within = gain(OWN)
    assert added.value > 0.03
    assert added.low is not None
    assert added.low > 0
    assert added.p_value is not None
    assert added.p_value < 0.01
    assert within.low is not None
    assert within.low > 0.6
    noise, _ = gain(np.random.default_rng(9).standard_normal(N))
    assert noise.value < 0.01


def test_folds_keep_entities_together_and_a_row_is_scored_by_models_that_never_saw_it() -> None:
    fold = entity_folds(Y, GROUPS, 5, 0)
    assert len(set(fold.tolist())) == 5
    for entity in np.unique(GROUPS):
        assert len(set(fold[entity == GROUPS].tolist())) == 1
    x = OWN[:, None]
    flipped = Y.copy()
    flipped[fold == 2] = 1 - flipped[fold == 2]
    np.testing.assert_array_equal(cross_fitted(x, Y, fold)[fold == 2], cross_fitted(x, flipped, fold)[fold == 2])


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (np.arange(N) < 30, "only 15 hallucinated answers about 8 entities"),
        (np.zeros(N, bool), "neither frequency nor confidence is known"),
    ],
)
def test_too_few_rows_are_a_reason(known: NDArray[np.bool_], says: str) -> None:
    tested = of(OWN)
    tested.baselines[~known, SIGNALS.index("rarity")] = np.nan
    tested.baselines[~known, SIGNALS.index("logprob")] = np.nan
    (row,) = remaining_rows([tested], folds=5, min_per_class=20, seed=0)
    assert np.isnan(row.value)
    assert says in row.note


ONE = np.array([[0, 5, 0, 0]], np.float32)
EVEN = np.full((1, 10), 0.3, np.float32)
NONE = np.zeros((1, 4), np.float32)


@pytest.mark.parametrize(("x", "share", "index"), [(ONE, 0.25, 1.0), (EVEN, 0.9, 0.0), (NONE, np.nan, np.nan)])
def test_one_neuron_all_neurons_and_none(x: np.ndarray, share: float, index: float) -> None:
    np.testing.assert_allclose(active_share(x), [share])
    np.testing.assert_allclose(hoyer(x), [index], atol=1e-6)


def test_ninety_percent_is_reached_exactly_and_neither_measure_depends_on_the_scale() -> None:
    x = np.array([[1, 4, 5, 0, 0, 0, 0, 0, 0, 0]], np.float32)  # 5 and 4 of 10
    np.testing.assert_allclose(active_share(x), [0.2])
    np.testing.assert_allclose(active_share(1000 * x), [0.2])
    np.testing.assert_allclose(hoyer(1000 * x), hoyer(x))
    np.testing.assert_allclose(hoyer(x), [(np.sqrt(10) - 10 / np.sqrt(42)) / (np.sqrt(10) - 1)], rtol=1e-6)
