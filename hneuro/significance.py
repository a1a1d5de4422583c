"""p-values of paired tests, of shares and against a null, and the power of a test."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy  # whose submodules are loaded when they are first used
from numpy.typing import ArrayLike, NDArray

from hneuro.result_records import Estimate, ResultRow

SAME = 1e-5  # of two readings of a float32 model, relative where they are larger than 1
EXACT = 2_000_000  # steps of an exact distribution, some milliseconds; beyond them a normal one says the same


def mcnemar(before: ArrayLike, after: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Exact two-sided p of McNemar's test on the same items: are the changes one way as many as the other way?

    With `groups` the changes of a group go one way or the other together, as the intervals draw them together.
    """
    a, b = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    return _either_way(b.astype(np.int64) - a, groups)


def signed_rank(before: ArrayLike, after: ArrayLike, groups: ArrayLike | None = None) -> float:
    """Two-sided p of the Wilcoxon signed rank test on the same items, `groups` as in `mcnemar`; 1 if none changed.

    Differences within `SAME` are none: the rounding of a model differs between machines, and its signs would count.
    """
    a, b = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    moved = np.abs(b - a) > SAME * np.maximum(1.0, np.maximum(np.abs(a), np.abs(b)))
    ranks = np.zeros(len(a))
    ranks[moved] = 2 * scipy.stats.rankdata(np.abs(b - a)[moved])  # twice, so that those of ties are whole
    return _either_way(np.rint(ranks * np.sign(b - a)).astype(np.int64), groups)


def _either_way(moves: NDArray[np.int64], groups: ArrayLike | None) -> float:
    """Two-sided p of the sum of `moves` [item] if a coin gave each group of items its sign; 1 where nothing moves.

    Every item by itself: the exact tests of McNemar and Wilcoxon. In groups: Rosner, Glynn and Lee, Biometrics 62
    (2006) 185, by permutation.
    """
    names, member = np.unique(np.arange(len(moves)) if groups is None else np.asarray(groups), return_inverse=True)
    sums = np.zeros(len(names), dtype=np.int64)
    np.add.at(sums, member, moves)
    found, sizes = abs(int(sums.sum())), np.abs(sums[sums != 0])
    if not len(sizes):
        return 1.0
    reach = int(sizes.sum())
    if len(sizes) * reach > EXACT:
        return float(2 * scipy.stats.norm.sf(found / np.sqrt(float(sizes @ sizes))))
    law = np.zeros(2 * reach + 1)  # of the sum, from -reach on
    law[reach] = 1.0
    for size in sizes:
        moved = law / 2
        law = np.roll(moved, size) + np.roll(moved, -size)  # what the ends would wrap is 0
    return min(1.0, 2 * float(law[reach + found :].sum()))


def unequal_shares(hits: tuple[int, int], n: tuple[int, int]) -> float:
    """Exact two-sided p of Fisher's test: is the share hits / n the same in two independent groups?"""
    (a, b), (of_a, of_b) = hits, n
    return float(scipy.stats.fisher_exact([[a, of_a - a], [b, of_b - b]]).pvalue)


def share_at_least(value: float, null: Sequence[float]) -> float:
    """p of a value against draws from its null, with the +1 that keeps it above zero; NaN for a value that is none."""
    if np.isnan(value):
        return float("nan")
    return (1 + sum(draw >= value for draw in null)) / (1 + len(null))


def share_as_far(value: float, null: Sequence[float]) -> float:
    """The same two-sided: twice the smaller of the shares that lie at or beyond the value on either side.

    A tail that is chosen after the value is seen has twice the size that it seems to have.
    """
    if np.isnan(value):
        return float("nan")
    above, below = share_at_least(value, null), share_at_least(-value, [-draw for draw in null])
    return min(1.0, 2 * min(above, below))


def smallest_detectable(found: Estimate | ResultRow) -> float:
    """The change that a test at 5 % would find with a power of 80 %, from the 95 % interval of what was found."""
    if found.low is None or found.high is None:
        return float("nan")
    reach, power = scipy.stats.norm.ppf([0.975, 0.8])
    return float((found.high - found.low) / (2 * reach) * (reach + power))
