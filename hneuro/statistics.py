"""Estimates with 95 % intervals, which never have zero width. Tests without an interval: hneuro.significance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import scipy  # whose submodules are loaded when they are first used
from numpy.typing import ArrayLike, NDArray

from hneuro.result_records import Estimate

RESAMPLES = 2000
LEVEL = 0.95
BLOCK = 128  # resamples at a time: what is worked on stays in the processor's cache


@lru_cache(maxsize=4096)
def rate(hits: int, n: int) -> Estimate:
    """A proportion with its Wilson interval. n = 0 gives NaN, which tables show as "-"."""
    if n == 0:
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=0)
    interval = scipy.stats.binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
    return Estimate(value=hits / n, low=float(interval.low), high=float(interval.high), n=n)


def mean_of(values: Sequence[float]) -> Estimate:
    """A mean with its t interval over independent values (seeds of a control, say)."""
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2:
        value = float(x.mean()) if len(x) else np.nan
        return Estimate(value=value, low=np.nan, high=np.nan, n=len(x))
    value = float(x.mean())
    half = float(scipy.stats.t.ppf((1 + LEVEL) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x)))
    low, high = _around(value, value - half, value + half, len(x))
    return Estimate(value=value, low=low, high=high, n=len(x))


def _around(
    value: float, low: float, high: float, groups: int, within: tuple[float, float] = (-1.0, 1.0)
) -> tuple[float, float]:
    """The interval, which holds the estimate and is never of zero width. `within`: what a value can be.

    Where nothing varies every resample says the same, as if the sample were all there is. Then the interval is exact
    instead: a share u of groups can be missed altogether by 1 - u to the power of their number (Clopper and Pearson),
    2.5 % for about u = 3.7 / groups, and those could have had any value.
    """
    low, high = min(low, value), max(high, value)
    if high - low <= 1e-12:
        unseen = 1 - ((1 - LEVEL) / 2) ** (1 / groups)
        low, high = value - unseen * max(0.0, value - within[0]), value + unseen * max(0.0, within[1] - value)
    return low, high


def _fewest(labels: NDArray[np.bool_], groups: ArrayLike) -> int:
    """Groups of the rarer kind of rows: how much a sample of pairs can have seen."""
    names = np.asarray(groups)
    return max(1, min(len(np.unique(names[labels])), len(np.unique(names[~labels]))))


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


def auroc(
    y: ArrayLike, scores: ArrayLike, groups: ArrayLike, strata: ArrayLike | None = None, seed: int = 0
) -> Estimate:
    """Area under the ROC curve (ties count half) with a percentile bootstrap over groups; NaN with one class only.

    Where all pairs say the same the interval is exact, by the groups of the rarer class (`_around`). With `strata` only
    pairs of rows from the same stratum are compared: what a score tells beyond the stratum.
    """
    labels = np.asarray(y, dtype=bool)
    value, resampled = _areas(labels, scores, groups, strata, seed)
    low, high = _around(value, *_percentiles(resampled), _fewest(labels, groups), (0.0, 1.0))
    return Estimate(value=value, low=low, high=high, n=len(labels))


def auroc_in_closed_form(y: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> Estimate:
    """`auroc` with the normal interval of Obuchowski's variance for clustered rows, a hundred times as fast.

    For what there is a lot of, such as controls. Source: Obuchowski, Biometrics 53 (1997) 567, equations 3 to 5.
    """
    labels, values = np.asarray(y, dtype=bool), np.asarray(scores, dtype=np.float64)
    member, count = _members(groups)
    wrong, right = values[labels], values[~labels]
    if not len(wrong) or not len(right):
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=len(labels))
    above, below = _passed(wrong, right), 2 * len(wrong) - _passed(right, wrong)
    value = float(above.sum() / (2 * len(wrong) * len(right)))  # the very bits of `auroc`
    wins, losses = (
        np.bincount(member[own], weights=halves / (2 * len(other)) - value, minlength=count) / len(halves)
        for own, halves, other in ((labels, above, right), (~labels, below, wrong))
    )
    sides = [(wins, len(np.unique(member[labels]))), (losses, len(np.unique(member[~labels])))]
    variance = sum(float(part @ part) * size / max(1, size - 1) for part, size in sides)
    variance += 2 * float(wins @ losses) * count / max(1, count - 1)
    half = float(scipy.stats.norm.ppf((1 + LEVEL) / 2)) * np.sqrt(max(0.0, variance))
    low, high = _around(value, max(0.0, value - half), min(1.0, value + half), _fewest(labels, groups), (0.0, 1.0))
    return Estimate(value=value, low=low, high=high, n=len(labels))


def _passed(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice how many of the others each value is above, so that a tie counts one."""
    ordered = np.sort(others)
    below, upto = (np.searchsorted(ordered, values, side=side) for side in ("left", "right"))
    return np.asarray(below + upto)


def auroc_difference(
    y: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    groups: ArrayLike,
    seed: int = 0,
    strata: ArrayLike | None = None,
) -> tuple[Estimate, float]:
    """AUROC of `first` minus that of `second` on the same rows, paired in a bootstrap over groups, and p two-sided.

    `strata` as in `auroc`. p is twice the smaller share of resamples on either side of 0, with the +1 that keeps it
    above zero.
    """
    labels = np.asarray(y, dtype=bool)
    (one, ones), (other, others) = (_areas(labels, scores, groups, strata, seed) for scores in (first, second))
    return against_zero(one - other, ones - others, len(labels), _fewest(labels, groups))


def _areas(
    labels: NDArray[np.bool_], scores: ArrayLike, groups: ArrayLike, strata: ArrayLike | None, seed: int
) -> tuple[float, NDArray[np.float64]]:
    """The area on the rows and on each resample [resample]; NaN where no hallucinated row meets a faithful one."""
    values = np.ascontiguousarray(scores, dtype=np.float64)
    parts = np.zeros(len(labels), dtype=np.intp) if strata is None else _members(strata)[0]
    member, count = _members(groups)
    return _remembered(labels.tobytes(), values.tobytes(), member.tobytes(), parts.tobytes(), count, seed)


@lru_cache(maxsize=256)  # 16 kB each: one score is compared with several others
def _remembered(
    labels: bytes, values: bytes, member: bytes, parts: bytes, count: int, seed: int
) -> tuple[float, NDArray[np.float64]]:
    """`_areas` of the bytes of its arrays, the groups as numbers below `count`."""
    hallucinated, scores = np.frombuffer(labels, dtype=bool), np.frombuffer(values)
    group, stratum = np.frombuffer(member, dtype=np.intp), np.frombuffer(parts, dtype=np.intp)

    def area(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
        won, pairs = np.zeros(drawn.shape[1]), np.zeros(drawn.shape[1])
        for part in np.unique(stratum):
            here = stratum == part
            more, of = _wins(hallucinated[here], scores[here], group[here], drawn)
            won, pairs = won + more, pairs + of
        return np.asarray(np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0))

    resampled = area(_draws(count, RESAMPLES, seed))
    resampled.flags.writeable = False  # shared by every caller
    return float(area(np.ones((count, 1)))[0]), resampled


def _wins(
    labels: NDArray[np.bool_], values: NDArray[np.float64], group: NDArray[np.intp], drawn: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of the pairs in which the hallucinated row scores higher, ties by half, and of all pairs [resample].

    `drawn` [group, resample]: the weight of each row of a group, a whole number.
    """
    order = np.argsort(values[~labels], kind="stable")
    faithful = values[~labels][order]
    below, upto = (np.searchsorted(faithful, values[labels], side=side) for side in ("left", "right"))
    tied, positive, negative = below != upto, group[labels], group[~labels][order]
    pairs = np.prod([np.bincount(part, minlength=len(drawn)) @ drawn for part in (positive, negative)], axis=0)
    exact = np.float32 if 2 * pairs.max() < 1 << 24 else np.float64  # whole numbers and halves: the same bits in both
    won = np.empty(drawn.shape[1])
    for start in range(0, drawn.shape[1], BLOCK):
        some: NDArray[Any] = drawn[:, start : start + BLOCK].astype(exact)
        passed: NDArray[Any] = np.zeros(
            (len(order) + 1, some.shape[1]), dtype=exact
        )  # weight of the faithful rows up to each
        np.cumsum(some[negative], axis=0, out=passed[1:])
        mine = np.einsum("pr,pr->r", some[positive], passed[below])
        if tied.any():
            mine += np.einsum("pr,pr->r", some[positive[tied]], passed[upto[tied]] - passed[below[tied]]) / 2
        won[start : start + BLOCK] = mine
    return won, pairs


def _percentiles(resampled: NDArray[np.float64]) -> tuple[float, float]:
    """The percentile interval of bootstrap values; NaN of none."""
    found = resampled[~np.isnan(resampled)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def against_zero(
    value: float, resampled: NDArray[np.float64], n: int, groups: int | None = None
) -> tuple[Estimate, float]:
    """A value with the percentile interval of its resamples, and p two-sided, as in `auroc_difference`.

    `groups`: how many were drawn from, where these are fewer than n.
    """
    low, high = _around(value, *_percentiles(resampled), max(1, groups or n))
    estimate = Estimate(value=value, low=low, high=high, n=n)
    found = resampled[~np.isnan(resampled)]
    if not len(found):
        return estimate, float("nan")
    return estimate, min(1.0, 2 * (1 + min((found <= 0).sum(), (found >= 0).sum())) / (1 + len(found)))


def grouped_mean(
    values: ArrayLike, groups: ArrayLike, seed: int = 0, within: tuple[float, float] = (-1.0, 1.0)
) -> Estimate:
    """A mean over rows with a BCa bootstrap over their groups; exact where all are the same (`_around`).

    `within`: the smallest and the largest value that a row can have.
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) == 0:
        return Estimate(value=np.nan, low=np.nan, high=np.nan, n=0)
    member, count = _members(groups)
    draws, total, rows = _draws(count, RESAMPLES, seed), np.bincount(member, weights=x), np.bincount(member)
    value = float(x.mean())
    low, high = value, value
    if count > 1:
        without = (total.sum() - total) / (len(x) - rows)  # each group
        low, high = _accelerated(value, (total @ draws) / (rows @ draws), without)
    low, high = _around(value, low, high, count, within)
    return Estimate(value=value, low=low, high=high, n=len(x))


def _accelerated(value: float, resampled: NDArray[np.float64], without: NDArray[np.float64]) -> tuple[float, float]:
    """Efron's BCa interval: percentiles that are moved by how skewed the estimate is, as few hits among many are.

    `without` [group]: the estimate without each. scipy.stats.bootstrap says the same a hundred times as slowly, because
    it cannot use draws again.
    """
    apart = without.mean() - without
    if np.abs(apart).max() <= 1e-12:
        return value, value
    below = (np.mean(resampled < value - 1e-12) + np.mean(resampled <= value + 1e-12)) / 2
    bias, skew = scipy.stats.norm.ppf(below), (apart**3).sum() / (6 * (apart**2).sum() ** 1.5)
    reach = bias + scipy.stats.norm.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.quantile(resampled, scipy.stats.norm.cdf(bias + reach / (1 - skew * reach)))
    return float(low), float(high)


def youden_threshold(y: ArrayLike, scores: ArrayLike) -> float:
    """The score at which TPR - FPR is largest; halfway to the next lower score."""
    labels, values = np.asarray(y, dtype=bool), np.asarray(scores, dtype=np.float64)
    order = np.sort(np.unique(values))
    cuts = np.concatenate([[order[0] - 1.0], (order[:-1] + order[1:]) / 2])
    above = values[None, :] > cuts[:, None]
    j = above[:, labels].mean(1) - above[:, ~labels].mean(1)
    return float(cuts[int(np.argmax(j))])
