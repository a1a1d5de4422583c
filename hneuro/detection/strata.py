"""Strata within which a detector cannot live on what they hold fixed: length, log-probability, frequency."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEW = 4  # distinct lengths that are strata of their own
PARTS = 3
STRATA = 10  # of equal log-probability, frequency or risk


def length_strata(lengths: ArrayLike) -> tuple[NDArray[np.intp], tuple[str, ...]]:
    """The stratum of each row, and the names of the strata from short to long: "1 token", "2 to 4 tokens".

    Every length is a stratum where there are few of them. Otherwise there are three, of about as many rows as ties
    allow: answers of one length are never parted.
    """
    each, member, count = np.unique(np.asarray(lengths, dtype=int), return_inverse=True, return_counts=True)
    part = np.arange(len(each))
    if len(each) > FEW:
        middle = (np.cumsum(count) - count / 2) / count.sum()  # mid-rank of each length
        _, part = np.unique((PARTS * middle).astype(int), return_inverse=True)
    names = []
    for place in range(part.max() + 1):
        shortest, longest = each[part == place].min(), each[part == place].max()
        span = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        names.append(f"{span} token" if longest == 1 else f"{span} tokens")
    return part[member], tuple(names)


def equal_parts(values: NDArray[np.float64], parts: int = STRATA) -> NDArray[np.intp]:
    """The part [row] of each value, of as many rows as ties allow: equal values are never parted."""
    _, member, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - count / 2) / count.sum()
    return np.asarray((parts * middle).astype(np.intp)[member])
