"""Counter-based Gumbel noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import gumbel_r, kstest, spearmanr

from hneuro.responses.noise import gumbel

SEEDS = torch.tensor([0, 1, -(2**63), 2**63 - 1, 123456789])


def splitmix64(state: int) -> int:
    """The finaliser with Python's unbounded integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def test_is_splitmix64_of_seed_step_and_column() -> None:
    """Exact integers, so that every device draws alike."""
    for step in (0, 3, 1000):
        noise = gumbel(SEEDS, step, 3)
        for row, seed in enumerate(SEEDS.tolist()):
            start = splitmix64((seed + step * 0x632BE59BD9B4E019) % 2**64)
            for column in range(3):
                bits = splitmix64((start + column * 0x9E3779B97F4A7C15) % 2**64) >> 41
                expected = -np.log(-np.log((bits + 0.5) / 2**23))
                np.testing.assert_allclose(noise[row, column].item(), expected, rtol=1e-4, atol=1e-5)


def test_is_standard_gumbel() -> None:
    for step in (0, 1, 49):
        noise = gumbel(torch.arange(20), step, 2000).flatten().numpy()
        assert kstest(noise, gumbel_r.cdf).pvalue > 1e-3


def test_is_finite_at_the_ends_of_its_range() -> None:
    """Infinite noise would draw a token that top_k has excluded: minus infinity plus infinity wins every argmax."""
    ends = torch.tensor([0, 47289454])  # all bits of their first draw are 0, and 1
    assert gumbel(ends, 0, 1).flatten().tolist() == pytest.approx([-2.812, 16.636], abs=1e-3)


def test_rows_steps_and_columns_are_not_related() -> None:
    noise = torch.stack([gumbel(torch.arange(40), step, 200) for step in range(10)]).numpy()  # [step, row, column]
    assert len(np.unique(noise)) > 0.99 * noise.size
    for one, other in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1]), (noise[..., 1:], noise[..., :-1])):
        assert abs(spearmanr(one.flatten(), other.flatten()).statistic) < 0.015
