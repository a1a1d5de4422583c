"""Estimates with 95 % intervals, and paired tests. Wilson and exact binomials come from scipy."""

from __future__ import annotations

from collections.abc import Sequence

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


def group_weights(groups: ArrayLike, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """Bootstrap weights [resample, row]: how often each row's whole group was drawn, so that groups stay together."""
    _, member = np.unique(np.asarray(groups), return_inverse=True)
    count = int(member.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.asarray(draws[:, member], dtype=np.float64)


def auroc(y: ArrayLike, scores: ArrayLike, groups: ArrayLike, seed: int = 0) -> Estimate:
    """Area under the ROC curve (ties count half) with a percentile bootstrap over groups."""
    labels, values = np.asarray(y, dtype=bool), np.asarray(scores, dtype=np.float64)
    if labels.all() or not labels.any():
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=len(labels))
    difference = values[labels][:, None] - values[~labels][None, :]
    wins = (difference > 0) + 0.5 * (difference == 0)
    weights = group_weights(groups, seed=seed)
    positive, negative = weights[:, labels], weights[:, ~labels]
    total = positive.sum(1) * negative.sum(1)
    resampled = ((positive @ wins) * negative).sum(1)[total > 0] / total[total > 0]
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=float(wins.mean()), low=float(low), high=float(high), n=len(labels))


def grouped_mean(values: ArrayLike, groups: ArrayLike, seed: int = 0) -> Estimate:
    """A mean over rows with a percentile bootstrap over their groups."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) == 0:
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=0)
    weights = group_weights(groups, seed=seed)
    low, high = np.quantile(weights @ x / weights.sum(1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=float(x.mean()), low=float(low), high=float(high), n=len(x))


def mcnemar(before: ArrayLike, after: ArrayLike) -> float:
    """Exact two-sided p of McNemar's test on the same items: are the changes one way as many as the other way?"""
    a, b = np.asarray(before, dtype=bool), np.asarray(after, dtype=bool)
    gained, lost = int((~a & b).sum()), int((a & ~b).sum())
    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0


def share_at_least(value: float, null: Sequence[float]) -> float:
    """p of a value against draws from its null, with the +1 that keeps it above zero."""
    return (1 + sum(draw >= value for draw in null)) / (1 + len(null))


def youden_threshold(y: ArrayLike, scores: ArrayLike) -> float:
    """The score at which TPR - FPR is largest; halfway to the next lower score."""
    labels, values = np.asarray(y, dtype=bool), np.asarray(scores, dtype=np.float64)
    order = np.sort(np.unique(values))
    cuts = np.concatenate([[order[0] - 1.0], (order[:-1] + order[1:]) / 2])
    above = values[None, :] > cuts[:, None]
    j = above[:, labels].mean(1) - above[:, ~labels].mean(1)
    return float(cuts[int(np.argmax(j))])
