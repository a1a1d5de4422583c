"""Strata of answer length: complete, in order, and no length in two of them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hneuro.detection.scored import length_strata


@pytest.mark.parametrize(
    ("lengths", "names"),
    [
        ([1, 1, 1], ("1 token",)),
        ([3, 1, 2, 2], ("1 token", "2 tokens", "3 tokens")),
        ([1, 2, 5, 9], ("1 token", "2 tokens", "5 tokens", "9 tokens")),
        ([1, 2, 3, 4, 5, 6], ("1 to 2 tokens", "3 to 4 tokens", "5 to 6 tokens")),
        ([1, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 5], ("1 token", "2 to 5 tokens")),  # ties leave no middle part
    ],
)
def test_strata_by_hand(lengths: list[int], names: tuple[str, ...]) -> None:
    assert length_strata(lengths)[1] == names


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_strata_ascend_and_part_no_length(lengths: list[int]) -> None:
    stratum, names = length_strata(lengths)
    each = np.array(lengths)
    assert sorted(set(stratum.tolist())) == list(range(len(names)))
    bounds = [(each[stratum == n].min(), each[stratum == n].max()) for n in range(len(names))]
    assert all(left[1] < right[0] for left, right in pairwise(bounds))
