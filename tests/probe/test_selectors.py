"""The selection paths against scikit-learn and against neurons that were planted."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from hneuro.neurons import NeuronSpace, ProbeRows
from hneuro.probe.choice import Sparsest, choose, h_neurons
from hneuro.probe.selectors import L1, ElasticNet, Ranking, Selector, t_statistic

SPACE = NeuronSpace(n_layers=4, width=75)
PLANTED = (7, 80, 81, 150, 299)


def cett_like(
    wrong: int, right: int, seed: int = 0, effect: float = 1.9, planted: tuple[int, ...] = PLANTED
) -> ProbeRows:
    """Lognormal rows of small positive values, as CETT is; planted neurons are `effect` times as large where y = 1."""
    draw = np.random.default_rng(seed)
    y = np.array([1] * wrong + [0] * right, dtype=np.int8)
    size = draw.lognormal(-1, 0.3, SPACE.size)  # neurons differ in size, which L1 on raw CETT feels
    x = 0.05 * size * draw.lognormal(0, 0.6, (len(y), SPACE.size))
    x[np.ix_(y == 1, planted)] *= effect
    return ProbeRows.of(x=x.astype(np.float32), y=y, groups=np.arange(len(y)).astype(str), space=SPACE)


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_exact_l1_with_a_penalised_intercept_is_liblinears_optimum(class_weight: Literal["balanced"] | None) -> None:
    """The same objective, the same support; liblinear at a tolerance that reaches the optimum."""
    rows = cett_like(40, 90)
    exact = L1(C=(3.0, 30.0), relative_C=False, intercept="penalised", class_weight=class_weight, tolerance=1e-7)
    for own in exact.path(rows, 0):
        theirs = LogisticRegression(
            l1_ratio=1, solver="liblinear", C=own.strength, class_weight=class_weight, tol=1e-8, max_iter=5000
        ).fit(rows.table, rows.y)
        assert own.positive == tuple(np.flatnonzero(theirs.coef_[0] > 0))
        np.testing.assert_allclose(own.scores(rows), theirs.decision_function(rows.table), atol=2e-3)
        assert own.gap is not None
        assert own.gap <= 1e-7


@pytest.mark.parametrize(("wrong", "right", "scale"), [(60, 60, 1.0), (40, 120, 100.0)])
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_relative_strength_begins_where_the_first_neuron_is_selected(
    wrong: int, right: int, class_weight: Literal["balanced"] | None, scale: float
) -> None:
    """The same C is another strength for every model; 1 : 3 rows move the intercept first."""
    rows = cett_like(wrong, right)
    rows = ProbeRows.of(x=rows.table * np.float32(scale), y=rows.y, groups=rows.groups, space=rows.space)
    below, above, more = L1(C=(0.99, 1.02, 2.0), class_weight=class_weight, tolerance=1e-7).path(rows, seed=0)
    assert np.count_nonzero(below.weight) == 0
    assert np.count_nonzero(above.weight) >= 1
    assert np.count_nonzero(more.weight) >= np.count_nonzero(above.weight)


def test_elastic_net_scores_are_those_of_the_standardised_fit() -> None:
    rows = cett_like(40, 60)
    centre, spread = rows.table.mean(0, dtype=np.float64), rows.table.std(0, dtype=np.float64)
    standard = (rows.table - centre) / spread
    (probe,) = ElasticNet(C=(20.0,), l1_ratio=0.3, tolerance=1e-8).path(rows, seed=0)
    smallest = 0.3 / np.abs((rows.y - rows.y.mean()) @ standard).max()
    direct = LogisticRegression(
        l1_ratio=0.3, solver="saga", C=20 * smallest, tol=1e-7, max_iter=20000, random_state=0
    ).fit(standard, rows.y)
    np.testing.assert_allclose(probe.scores(rows), direct.decision_function(standard), atol=1e-3)


def test_a_neuron_that_never_changes_is_never_selected() -> None:
    rows = cett_like(40, 40)
    rows.table[:, 7] = 0.25
    rows.table[:, 8] = 0.0
    for selector in (L1(C=(20.0,)), ElasticNet(C=(5.0,)), Ranking(counts=(SPACE.size,))):
        (probe,) = selector.path(rows, seed=0)
        assert probe.weight[7] == probe.weight[8] == 0
        assert np.isfinite(probe.weight).all()


@pytest.mark.parametrize(
    "selector", [L1(C=(2.0, 3.0, 5.0, 8.0)), ElasticNet(C=(1.5, 2.0, 3.0)), Ranking(counts=(5, 10, 20))]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_neurons_are_found(selector: Selector, seed: int) -> None:
    fit, select = cett_like(200, 200, seed=seed), cett_like(80, 80, seed=seed + 100)
    probe, _ = choose(selector.path(fit, seed), fit, select, Sparsest())
    found = set(h_neurons(probe, selector.name).neurons)
    # Raw L1 may leave out the smallest neuron, which pays the same price for less.
    assert len(found & set(PLANTED)) >= (4 if selector.name == "l1" else 5)
    assert len(found - set(PLANTED)) <= 5


def test_t_is_welchs() -> None:
    rows = cett_like(25, 60)
    wrong, right = rows.table[rows.y == 1].astype(float), rows.table[rows.y == 0].astype(float)
    expected = stats.ttest_ind(wrong, right, equal_var=False).statistic
    np.testing.assert_allclose(t_statistic(rows), expected, rtol=1e-9)


def test_ranking_takes_the_largest_t_and_weighs_it_alone() -> None:
    rows = cett_like(50, 50)
    five, ten = Ranking(counts=(10, 5)).path(rows, seed=0)
    assert (five.strength, ten.strength) == (5.0, 10.0)
    order = np.argsort(-t_statistic(rows))
    assert set(five.positive) == set(order[:5].tolist())
    assert set(five.positive) < set(ten.positive)
    neuron = five.positive[0]
    x = rows.table[:, neuron].astype(float)
    assert five.weight[neuron] == pytest.approx((x[rows.y == 1].mean() - x[rows.y == 0].mean()) / x.var(), rel=1e-5)
    middle = (rows.table[rows.y == 1].mean(0) + rows.table[rows.y == 0].mean(0)) / 2
    halfway = ProbeRows.of(x=middle[None], y=rows.y[:1], groups=rows.groups[:1], space=rows.space)
    assert five.scores(halfway)[0] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("wrong", [{"C": ()}, {"C": (0.0, 1.0)}, {"C": (-1.0,)}])
def test_an_impossible_grid_is_refused(wrong: dict[str, tuple[float, ...]]) -> None:
    for kind in (L1, ElasticNet):
        with pytest.raises(ValueError, match="C needs"):
            kind(**wrong)
    with pytest.raises(ValueError, match="l1_ratio"):
        ElasticNet(l1_ratio=0.0)
