"""How firmly neurons are selected: on resamples of the entities, along the path, and among those that correlate.

L1 picks one of a group of correlated neurons, and which one may hang on a few rows. A set of H-Neurons is read with
how often each comes back, and with the neurons that could stand in for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import scipy
from numpy.typing import NDArray

from hneuro.neurons import HNeurons, ProbeRows
from hneuro.probe.selectors import Penalised, Selector, features_of
from hneuro.probe.solver import SolverSettings, solve_paths
from hneuro.records import UserError
from hneuro.result_records import NeuronFrequency, Overlap, Resample
from hneuro.statistics import group_weights

SPARE = 4  # resamples drawn for each that is needed, for the few in which one kind of answers is missing


@dataclass(frozen=True, kw_only=True)
class StabilitySettings:
    """`resamples` of the entities; 0 turns stability off. `correlation`: |r| from which two neurons are partners.

    `permuted`: how many times selection and detection are done once more with permuted labels.
    """

    resamples: int = 50
    correlation: float = 0.8
    permuted: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 0 or self.resamples == 1 or not 0 < self.correlation <= 1:
            raise ValueError("resamples must be 0 or at least 2, and correlation must lie in (0, 1]")
        if self.permuted < 0:
            raise ValueError("permuted must not be negative")


def resample_weights(rows: ProbeRows, count: int, seed: int) -> NDArray[np.float64]:
    """[row, resample]: how often each row was drawn, entities as a whole and with replacement (a group bootstrap).

    A resample without both kinds of rows selects nothing and is drawn again. UserError where that does not help.
    """
    weights = group_weights(rows.groups, SPARE * count, seed)
    kinds = (0, 1) if rows.y.any() else (0,)  # effects are of no kind
    every = np.all([weights[rows.y == kind].any(0) for kind in kinds], axis=0)
    if every.sum() < count:
        raise UserError(
            "there are too few entities to draw them anew: sample more questions (dataset.limit), or use stability=none"
        )
    return weights[:, np.flatnonzero(every)[:count]]


def reselect(
    rows: ProbeRows,
    selector: Selector,
    strengths: Sequence[float],
    weights: NDArray[np.float64],
    draws: Sequence[int],
    seed: int,
) -> tuple[Resample, ...]:
    """What the selector gives a positive weight on each resample, at each of `strengths`, by draw and strength.

    `weights` [row, resample] are those of `resample_weights`, `draws` its columns that are wanted. A strength means the
    same as on all rows: a multiple of the resample's own smallest C, where the selector's is. The penalised selections
    are solved exactly and in lockstep; any other selector is given the drawn rows.
    """
    if isinstance(selector, Penalised):
        return _solved(rows, selector, strengths, weights, draws)
    found = []
    for draw in draws:
        drawn = np.repeat(np.arange(len(rows.y)), weights[:, draw].astype(int))
        path = selector.path(rows.at(drawn), seed)
        found += [Resample(draw=draw, strength=p.strength, neurons=p.positive) for p in path if p.strength in strengths]
    return tuple(found)


def _solved(
    rows: ProbeRows,
    selector: Penalised,
    strengths: Sequence[float],
    weights: NDArray[np.float64],
    draws: Sequence[int],
) -> tuple[Resample, ...]:
    features = features_of(rows, standardised=selector.penalty.standardised)
    problems = [features.problem(rows.y, weights[:, draw], selector.class_weight) for draw in draws]
    settings = SolverSettings(relative_C=selector.relative_C)
    paths = solve_paths(features.matrix, problems, strengths, selector.penalty, settings)
    return tuple(
        Resample(draw=draw, strength=strength, neurons=tuple(int(n) for n in solution.neurons[solution.weights > 0]))
        for draw, path in zip(draws, paths, strict=True)
        for strength, solution in zip(sorted(strengths), path, strict=True)
    )


def frequencies(resamples: Sequence[Resample], neurons: HNeurons, chosen: float) -> tuple[NeuronFrequency, ...]:
    """How often each neuron was selected, at the chosen strength and at most; most frequent first.

    A neuron that is not listed was never selected: its frequency is 0. The largest frequency over the path is the one
    of stability selection (Meinshausen and Buehlmann 2010).
    """
    count = len({r.draw for r in resamples})
    times: dict[float, dict[int, int]] = {chosen: dict.fromkeys(neurons.neurons, 0)}
    for resample in resamples:
        at = times.setdefault(resample.strength, {})
        for neuron in resample.neurons:
            at[neuron] = at.get(neuron, 0) + 1
    rank = {neuron: place for place, neuron in enumerate(neurons.neurons, 1)}
    found = []
    for neuron in sorted(set().union(*times.values())):
        layer, expert, index = neurons.space.address(neuron)
        found.append(
            NeuronFrequency(
                layer=layer,
                index=index,
                frequency=times[chosen].get(neuron, 0) / count,
                highest=max(at.get(neuron, 0) for at in times.values()) / count,
                rank=rank.get(neuron),
                expert=expert,
            )
        )
    return tuple(sorted(found, key=lambda f: (-f.frequency, -f.highest, f.layer, f.index)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlated:
    """For each H-Neuron: how many neurons of the model it correlates with, and the number of its cluster."""

    partners: tuple[int, ...]
    clusters: tuple[int | None, ...]  # from 1, heaviest member first; None for one that has no partner among them


def correlated(rows: ProbeRows, neurons: Sequence[int], level: float) -> Correlated:
    """Who correlates with whom over `rows` (Pearson, |r| >= level), read block by block.

    Clusters are the connected components among `neurons`, heaviest first. A neuron that never changes correlates with
    none.
    """
    own = _standardised(rows.columns(neurons))
    level -= 1e-6  # float32 rounds a copy of a neuron to just below 1
    partners = np.zeros(len(neurons), dtype=np.int64)
    for _, block in rows.blocks():
        partners += (np.abs(_standardised(block).T @ own) >= level).sum(0)
    among = np.abs(own.T @ own) >= level
    partners -= np.diag(among)  # a neuron is no partner of itself
    _, label = scipy.sparse.csgraph.connected_components(scipy.sparse.coo_array(among), directed=False)
    together = [place for place in dict.fromkeys(label.tolist()) if (label == place).sum() > 1]
    return Correlated(
        partners=tuple(partners.tolist()),
        clusters=tuple(together.index(place) + 1 if place in together else None for place in label.tolist()),
    )


def _standardised(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Columns of mean 0 and length 1, so that products are correlations; 0 for a column that never changes."""
    centred = np.asarray(x, dtype=np.float64) - x.mean(0, dtype=np.float64)
    length = np.sqrt((centred * centred).sum(0))
    moving = x.max(0) > x.min(0)
    return np.asarray(np.divide(centred, length, out=np.zeros_like(centred), where=moving & (length > 0)))


def overlap(between: str, named: Mapping[str, Sequence[int]], size: int | None = None) -> Overlap:
    """Jaccard overlap of two sets.

    With `size`, that of the model, there is a p: of the permutation test in which both sets are drawn anew from all
    neurons, at once and exactly, as the shared neurons of two random sets follow the hypergeometric distribution. Two
    selections from the same rows share more than that however little they mean, so that theirs would say nothing.
    """
    (first, one), (second, other) = ((name, set(chosen)) for name, chosen in named.items())
    shared, either = len(one & other), len(one | other)
    jaccard = shared / either if either else np.nan
    return Overlap(
        between=between,
        first=first,
        second=second,
        sizes=(len(one), len(other)),
        shared=shared,
        jaccard=jaccard,
        low=jaccard,
        high=jaccard,
        pairs=1,
        p_value=size and float(scipy.stats.hypergeom.sf(shared - 1, size, len(one), len(other))),
    )


def mean_overlap(sets: Sequence[Sequence[int]]) -> Overlap:
    """Overlaps of every two resamples, averaged."""
    pairs = [overlap("resamples", {"a": a, "b": b}) for a, b in combinations(sets, 2)]
    each = np.array([pair.jaccard for pair in pairs])
    known = each[~np.isnan(each)]
    sizes = float(np.mean([len(s) for s in sets]))
    return Overlap(
        between="resamples",
        first="a resample",
        second="another",
        sizes=(sizes, sizes),
        shared=float(np.mean([pair.shared for pair in pairs])),
        jaccard=float(known.mean()) if len(known) else np.nan,
        low=float(known.min()) if len(known) else np.nan,
        high=float(known.max()) if len(known) else np.nan,
        pairs=len(pairs),
    )
