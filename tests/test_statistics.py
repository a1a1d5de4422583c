"""Estimates against scipy, scikit-learn and formulas written out."""

from __future__ import annotations

from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from hneuro.statistics import (
    auroc,
    auroc_difference,
    auroc_in_closed_form,
    group_weights,
    grouped_mean,
    mean_of,
    rate,
    youden_threshold,
)

labelled = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40).filter(
    lambda rows: 0 < sum(y for y, _ in rows) < len(rows)
)


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (0, 40), (7, 40), (40, 40), (501, 1000)])
def test_rate_is_wilsons(hits: int, n: int) -> None:
    z = stats.norm.ppf(0.975)
    centre = (hits + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * sqrt(hits * (n - hits) / n + z**2 / 4)
    found = rate(hits, n)
    assert (found.value, found.n) == (hits / n, n)
    assert found.low == pytest.approx(max(0.0, centre - half), abs=1e-12)
    assert found.high == pytest.approx(min(1.0, centre + half), abs=1e-12)


def test_mean_of_seeds_has_a_t_interval() -> None:
    values = [0.5, 0.7, 0.55, 0.61]
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    found = mean_of(values)
    assert (found.value, found.low, found.high) == pytest.approx((np.mean(values), low, high))
    assert found.n == 4


@settings(deadline=None, max_examples=60)
@given(labelled)
def test_auroc_is_scikit_learns_ties_included(rows: list[tuple[bool, int]]) -> None:
    y, scores = zip(*rows, strict=True)
    assert auroc(y, scores, range(len(rows))).value == pytest.approx(roc_auc_score(y, scores))


def test_auroc_bootstrap_is_that_of_repeated_rows() -> None:
    """The weighted form equals the share of pairs won when rows are repeated as often as they were drawn."""
    draw = np.random.default_rng(0)
    y, scores = draw.random(30) < 0.5, draw.integers(0, 6, 30)
    groups = draw.integers(0, 12, 30)
    areas = []
    for weights in group_weights(groups).T.astype(int):
        rows = np.repeat(np.arange(30), weights)
        wrong, right = scores[rows][y[rows]], scores[rows][~y[rows]]
        if len(wrong) and len(right):
            ahead = wrong[:, None] - right
            areas.append(np.mean((ahead > 0) + (ahead == 0) / 2))
    found = auroc(y, scores, groups)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])))


def test_the_closed_form_has_the_value_and_nearly_the_interval_of_the_bootstrap() -> None:
    draw = np.random.default_rng(5)
    groups = draw.integers(0, 150, 400)
    shift = draw.normal(size=150)[groups]  # rows of a group are alike, which must widen the interval
    y = shift + draw.normal(size=400) > 0
    for scores in (shift + draw.normal(size=400), draw.integers(0, 4, 400) + y, draw.normal(size=400)):
        for members in (groups, np.arange(400)):
            plain, closed = auroc(y, scores, members), auroc_in_closed_form(y, scores, members)
            assert (closed.value, closed.n) == (plain.value, plain.n)
            assert (closed.low, closed.high) == pytest.approx((plain.low, plain.high), abs=0.012)
    wide, narrow = (auroc_in_closed_form(y, shift, members) for members in (groups, np.arange(400)))
    assert wide.high - wide.low > 1.2 * (narrow.high - narrow.low)
    assert isnan(auroc_in_closed_form([True, True], [1, 2], [0, 1]).value)


def test_within_strata_only_pairs_of_one_stratum_count() -> None:
    """The pooled area is that of all pairs within strata, in value and in every resample."""
    draw = np.random.default_rng(1)
    y, strata = draw.random(60) < 0.5, draw.integers(0, 3, 60)
    scores, groups = draw.integers(0, 6, 60) + 3 * strata, draw.integers(0, 25, 60)

    def pooled(rows: np.ndarray) -> float:
        won = pairs = 0.0
        for part in range(3):
            here = rows[strata[rows] == part]
            ahead = np.subtract.outer(scores[here[y[here]]], scores[here[~y[here]]])
            won, pairs = won + (ahead > 0).sum() + (ahead == 0).sum() / 2, pairs + ahead.size
        return won / pairs

    found = auroc(y, scores, groups, strata)
    assert found.value == pytest.approx(pooled(np.arange(60)))
    resampled = [pooled(np.repeat(np.arange(60), w)) for w in group_weights(groups).T.astype(int)]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(resampled, [0.025, 0.975])))
    assert auroc(y, scores, groups, np.zeros(60)) == auroc(y, scores, groups)


def test_auroc_difference_is_paired() -> None:
    """Two scores that nearly agree differ by little for sure, however uncertain each of them is."""
    draw = np.random.default_rng(0)
    y = draw.random(80) < 0.5
    first = y + draw.normal(size=80) * 1.5
    second = first - 0.5 * y
    found, p = auroc_difference(y, first, second, range(80))
    apart = auroc(y, first, range(80))
    assert found.value == pytest.approx(roc_auc_score(y, first) - roc_auc_score(y, second))
    assert 0 < found.low <= found.value <= found.high
    assert found.high - found.low < (apart.high - apart.low) / 2
    assert p == pytest.approx(2 / 2001, rel=0.01)
    back, p_back = auroc_difference(y, second, first, range(80))
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    assert p_back == p
    nothing, p_nothing = auroc_difference(y, first, first, range(80))
    missed = 1 - 0.025 ** (1 / min(y.sum(), (~y).sum()))
    assert (nothing.value, nothing.low, nothing.high, p_nothing) == (0.0, -missed, missed, 1.0)
    assert isnan(auroc_difference(np.ones(3), [1, 2, 3], [3, 2, 1], range(3))[1])


@pytest.mark.parametrize("y", [[], [True, True], [False]])
def test_auroc_of_one_class_is_no_number(y: list[bool]) -> None:
    found = auroc(y, [0.0] * len(y), ["g"] * len(y))
    assert isnan(found.value)
    assert found.n == len(y)


def test_copied_rows_do_not_narrow_an_interval_of_groups() -> None:
    """Ten rows of one entity are not ten independent rows."""
    draw = np.random.default_rng(0)
    y, scores, names = np.arange(60) % 2, draw.normal(size=60), np.arange(60)
    once, copied = auroc(y, scores, names), auroc(np.tile(y, 10), np.tile(scores, 10), np.tile(names, 10))
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))
    mean, repeated = grouped_mean(scores, names), grouped_mean(np.tile(scores, 10), np.tile(names, 10))
    assert (repeated.low, repeated.high) == pytest.approx((mean.low, mean.high))


@pytest.mark.parametrize("rare", [False, True])
def test_grouped_mean_is_scipys_accelerated_bootstrap_of_the_groups(rare: bool) -> None:
    draw = np.random.default_rng(1)
    x, groups = draw.lognormal(size=90), draw.integers(0, 40, 90)
    if rare:
        x = (np.arange(90) < 3).astype(float)
    sums, counts = np.bincount(groups, weights=x), np.bincount(groups)
    there = counts > 0
    expected = stats.bootstrap(
        (sums[there], counts[there]), lambda s, c, axis: s.sum(axis) / c.sum(axis), paired=True, vectorized=True,
        n_resamples=20_000, rng=draw,
    ).confidence_interval  # fmt: skip
    found = grouped_mean(x, groups)
    assert found.value == pytest.approx(x.mean())
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=0.06)
    assert isnan(grouped_mean([], []).value)


# Values of a sample, with their groups: everything may be the same, and all of one group.
sampled = st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.integers(0, 4)), min_size=1, max_size=12)


@settings(deadline=None, max_examples=150)
@given(sampled, st.sampled_from([-1.0, 0.0, 0.25, 1.0]))
def test_no_interval_of_a_sample_has_zero_width_or_leaves_its_estimate_out(
    rows: list[tuple[float, int]], constant: float
) -> None:
    x, groups = (np.array(column) for column in zip(*rows, strict=True))
    found = [grouped_mean(x, groups), grouped_mean(np.full(len(x), constant), groups), rate(int((x > 0).sum()), len(x))]
    y = np.arange(len(x)) % 2 == 0
    if len(x) > 1:
        for score in (x, np.full(len(x), constant), y.astype(float)):
            found += [auroc(y, score, groups), auroc_in_closed_form(y, score, groups)]
        found += [auroc_difference(y, x, score, groups)[0] for score in (x, -x, y)]
        found.append(mean_of(x))
    for estimate in found:
        if not isnan(estimate.low):
            assert estimate.low < estimate.high
            assert estimate.low <= estimate.value <= estimate.high


MISSED = {n: 1 - 0.025 ** (1 / n) for n in (5, 20, 100, 190)}  # shares that 2.5 % of samples of n miss altogether


def test_where_nothing_varies_intervals_are_those_of_clopper_and_pearson() -> None:
    exact = stats.binomtest(0, 190).proportion_ci(0.95, method="exact")
    change = grouped_mean(np.zeros(190), np.arange(190))
    assert (change.low, change.high) == pytest.approx((-exact.high, exact.high))
    share = grouped_mean(np.ones(190), np.arange(190), within=(0.0, 1.0))
    assert (share.low, share.high) == (pytest.approx(1 - exact.high), 1.0)
    twins = grouped_mean(np.zeros(190), np.arange(190) // 2)  # half as many are independent
    assert twins.high == pytest.approx(1 - 0.025 ** (1 / 95))
    apart = np.repeat([True, False], [5, 50])
    for area in (auroc, auroc_in_closed_form):
        found = area(apart, apart, np.arange(55))
        assert (found.low, found.high) == (pytest.approx(1 - MISSED[5]), 1.0)


@pytest.mark.parametrize(("truth", "n"), [(0.01, 40), (0.1, 40), (0.3, 12), (0.97, 190)])
def test_intervals_of_shares_near_a_boundary_cover_them(truth: float, n: int) -> None:
    """With the percentiles of a bootstrap 32 % of the intervals cover the first, and 86 % the third."""
    draw = np.random.default_rng(0)
    found = [grouped_mean(draw.random(n) < truth, np.arange(n), within=(0.0, 1.0)) for _ in range(400)]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.93


@settings(deadline=None, max_examples=60)
@given(labelled)
def test_youden_threshold_reaches_the_largest_difference(rows: list[tuple[bool, int]]) -> None:
    y, scores = np.array([a for a, _ in rows]), np.array([b for _, b in rows], dtype=float)
    above = scores > youden_threshold(y, scores)
    false_rate, true_rate, _ = roc_curve(y, scores)
    assert above[y].mean() - above[~y].mean() == pytest.approx((true_rate - false_rate).max())
