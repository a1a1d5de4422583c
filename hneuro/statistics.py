"""Estimates with 95 % intervals, and paired tests. Wilson and exact binomials come from scipy."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, t

from hneuro.records import Estimate

RESAMPLES = 2000
LEVEL = 0.95


def rate(hits: int, n: int) -> Estimate:
    """A proportion with its Wilson interval. n = 0 gives NaN, which tables show as "-"."""
    if n == 0:
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=0)
    interval = binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
    return Estimate(value=hits / n, low=float(interval.low), high=float(interval.high), n=n)


def mean_of(values: Sequence[float]) -> Estimate:
    """A mean with its t interval over independent values (seeds of a control, say)."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        value = float(x.mean()) if len(x) else np.nan
        return Estimate(value=value, low=np.nan, high=np.nan, n=len(x))
    half = float(t.ppf((1 + LEVEL) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    return Estimate(value=float(x.mean()), low=float(x.mean()) - half, high=float(x.mean()) + half, n=len(x))


@lru_cache(maxsize=4)
def _draws(count: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """Bootstrap counts [group, resample]: how often each of `count` groups was drawn with replacement.

    The resamples lie side by side, so that the rows of a group are copied and summed as whole lines of memory.
    """
    drawn = np.random.default_rng(seed).integers(count, size=(count, resamples))
    flat = (drawn * resamples + np.arange(resamples)).ravel()
    counts = np.bincount(flat, minlength=count * resamples).reshape(count, resamples).astype(np.float64)
    counts.flags.writeable = False  # shared by every caller
    return counts


def _members(groups: ArrayLike) -> tuple[NDArray[np.intp], int]:
    """The number of each row's group, and how many groups there are."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    return member, len(names)


def group_weights(groups: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap weights [row, resample]: how often each row's whole group was drawn, so that groups stay together."""
    member, count = _members(groups)
    return _draws(count, resamples, seed)[member]


def auroc(y: ArrayLike, scores: ArrayLike, groups: ArrayLike, seed: int = 0) -> Estimate:
    """Area under the ROC curve (ties count half) with a percentile bootstrap over groups; NaN with one class only."""
    labels, values = np.asarray(y, dtype=bool), np.asarray(scores, dtype=np.float64)
    if labels.all() or not labels.any():
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=len(labels))
    order = np.argsort(values[~labels], kind="stable")
    below = np.searchsorted(values[~labels][order], values[labels], side="left")
    upto = np.searchsorted(values[~labels][order], values[labels], side="right")
    weights = group_weights(groups, seed=seed)
    positive, negative = weights[labels], weights[~labels][order]
    passed = np.zeros((len(order) + 1, weights.shape[1]))  # weight of the faithful rows up to each, by score
    np.cumsum(negative, axis=0, out=passed[1:])
    area = (np.einsum("pr,pr->r", positive, passed[below]) + np.einsum("pr,pr->r", positive, passed[upto])) / 2
    total = positive.sum(0) * passed[-1]
    low, high = np.quantile(area[total > 0] / total[total > 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = float((below + upto).mean() / (2 * len(order)))  # ties are below by half
    return Estimate(value=value, low=float(low), high=float(high), n=len(labels))


def grouped_mean(values: ArrayLike, groups: ArrayLike, seed: int = 0) -> Estimate:
    """A mean over rows with a percentile bootstrap over their groups."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) == 0:
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=0)
    member, count = _members(groups)
    draws = _draws(count, RESAMPLES, seed)
    resampled = (np.bincount(member, weights=x) @ draws) / (np.bincount(member) @ draws)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=float(x.mean()), low=float(low), high=float(high), n=len(x))


def mcnemar(before: ArrayLike, after: ArrayLike) -> float:
    """Exact two-sided p of McNemar's test on the same items: are the changes one way as many as the other way?"""
    a, b = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    gained, lost = int((~a & b).sum()), int((a & ~b).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def share_at_least(value: float, null: Sequence[float]) -> float:
    """p of a value against draws from its null, with the +1 that keeps it above zero; NaN for a value that is none."""
    if np.isnan(value):
        return float("nan")
    return (1 + sum(draw >= value for draw in null)) / (1 + len(null))


def youden_threshold(y: ArrayLike, scores: ArrayLike) -> float:
    """The score at which TPR - FPR is largest; halfway to the next lower score."""
    labels, values = np.asarray(y, dtype=bool), np.asarray(scores, dtype=np.float64)
    order = np.sort(np.unique(values))
    cuts = np.concatenate([[order[0] - 1.0], (order[:-1] + order[1:]) / 2])
    above = values[None, :] > cuts[:, None]
    j = above[:, labels].mean(1) - above[:, ~labels].mean(1)
    return float(cuts[int(np.argmax(j))])
