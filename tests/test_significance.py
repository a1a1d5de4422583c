"""p-values against scipy, enumeration and simulation."""

from __future__ import annotations

from itertools import product
from math import comb, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hneuro.result_records import Estimate
from hneuro.significance import (
    mcnemar,
    share_as_far,
    signed_rank,
    smallest_detectable,
    unequal_shares,
)


def test_the_rounding_of_a_machine_is_no_change() -> None:
    """Seen on a GPU: where a scaling reaches few of the items, p was 0.06 there and 0.12 on the processor."""
    draw = np.random.default_rng(0)
    before = draw.uniform(size=20)
    after = before.copy()
    after[:8] -= draw.uniform(0.0, 0.2, size=8)
    noisy = after + draw.normal(scale=1e-7, size=20)
    assert signed_rank(before, noisy) == pytest.approx(signed_rank(before, after), abs=1e-6)
    assert signed_rank(before, before + draw.normal(scale=1e-7, size=20)) == 1.0
    assert signed_rank(1000 * before, 1000 * before + 1e-5) == 1.0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_mcnemar_is_the_exact_binomial_of_the_changes(pairs: list[tuple[bool, bool]]) -> None:
    before, after = [a for a, _ in pairs], [b for _, b in pairs]
    gained = sum(b and not a for a, b in pairs)
    changed = sum(a != b for a, b in pairs)
    tail = sum(comb(changed, k) for k in range(min(gained, changed - gained) + 1)) / 2**changed
    assert mcnemar(before, after) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(before, after) == mcnemar(after, before)


def test_a_paired_test_keeps_the_items_of_a_group_together() -> None:
    """Against all signs of all groups, one after the other; copies of an item are no more items."""
    draw = np.random.default_rng(2)
    groups = draw.integers(0, 9, 30)
    before, after = draw.integers(0, 2, 30), draw.integers(0, 3, 30) > 0
    signs = np.array(list(product((-1, 1), repeat=len(set(groups)))))
    member = np.unique(groups, return_inverse=True)[1]
    moves, ranks = after.astype(int) - before, stats.rankdata(np.abs(after - before)[after != before])
    signed = np.zeros(30)
    signed[after != before] = ranks * np.sign(moves[after != before])
    for test, scores in ((mcnemar, moves), (signed_rank, signed)):
        sums = np.bincount(member, weights=scores)
        expected = np.mean(np.abs(signs @ sums) >= abs(sums.sum()) - 1e-9)
        assert test(before, after, groups) == pytest.approx(expected)
        copied = [np.tile(column, 5) for column in (before, after, np.arange(30))]
        assert test(*copied) == pytest.approx(test(before, after))
        assert test(*copied[:2]) < test(*copied)


def test_a_paired_test_of_many_items_is_a_normal_one() -> None:
    draw = np.random.default_rng(0)
    before = draw.normal(size=400)
    after = before + draw.normal(0.08, size=400)
    assert signed_rank(before, after) == pytest.approx(stats.wilcoxon(after - before).pvalue, rel=1e-6)
    exact = stats.wilcoxon((after - before)[:100], method="exact").pvalue
    assert signed_rank(before[:100], after[:100]) == pytest.approx(exact)


def test_unequal_shares_is_the_lady_tasting_tea() -> None:
    """Fisher's own example: 3 of 4 against 1 of 4."""
    assert unequal_shares((3, 1), (4, 4)) == pytest.approx(34 / 70)
    assert unequal_shares((1, 3), (4, 4)) == pytest.approx(34 / 70)
    assert unequal_shares((0, 10), (10, 10)) < 1e-4
    assert unequal_shares((0, 0), (0, 7)) == 1.0


def test_share_as_far_is_twice_the_smaller_tail() -> None:
    assert share_as_far(0.2, [0.0, 0.3, -0.5]) == 1.0
    assert share_as_far(0.4, [0.0, 0.3, -0.5]) == 2 / 4
    assert share_as_far(-0.6, [0.0, 0.3, -0.5]) == 2 / 4
    assert share_as_far(0.2, [0.3, 0.4, 0.5]) == 2 / 4  # less than any, though it is above 0
    assert isnan(share_as_far(float("nan"), [0.1]))


@pytest.mark.parametrize("skewed", [False, True])
def test_share_as_far_has_the_size_that_it_says(skewed: bool) -> None:
    """A set like any other is called different in one of twenty runs, whatever it is that all sets do."""
    draw = np.random.default_rng(0)
    drawn = draw.normal(size=(5000, 40))
    if skewed:
        drawn = 0.3 - np.exp(drawn)
    p_values = np.array([share_as_far(one[0], one[1:]) for one in drawn.tolist()])
    for level in (0.05, 0.2):
        assert (p_values <= level).mean() == pytest.approx(level, abs=0.013)


def test_the_smallest_detectable_change_is_found_with_a_power_of_four_fifths() -> None:
    draw, n = np.random.default_rng(0), 200
    noise = draw.normal(size=(4000, n))
    interval = Estimate(value=0.0, low=-1.96 / np.sqrt(n), high=1.96 / np.sqrt(n), n=n)
    shifted = noise + smallest_detectable(interval)
    found = np.abs(shifted.mean(axis=1)) > 1.96 / np.sqrt(n)
    assert found.mean() == pytest.approx(0.8, abs=0.02)
