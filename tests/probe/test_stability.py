"""Stability: planted neurons come back, twins stand in for each other, and chance is told from more than chance."""

from __future__ import annotations

from itertools import combinations
from math import comb, isnan

import numpy as np
import pytest

from hneuro.neurons import HNeurons, NeuronSpace, ProbeRows
from hneuro.probe.selectors import L1, ElasticNet, Ranking, Selector
from hneuro.probe.stability import (
    StabilitySettings,
    correlated,
    frequencies,
    overlap,
    resample_weights,
    reselect,
)
from hneuro.result_records import Resample

SPACE = NeuronSpace(n_layers=4, width=40)
PLANTED = (3, 60, 121)
TWIN = 61  # as good as a copy of neuron 60


def rows(n: int = 240, seed: int = 0) -> ProbeRows:
    draw = np.random.default_rng(seed)
    y = np.array([1, 0] * (n // 2), dtype=np.int8)
    x = 0.02 * draw.lognormal(0, 0.5, (n, SPACE.size))
    x[np.ix_(y == 1, PLANTED)] *= 1.9
    x[:, TWIN] = x[:, 60] * draw.normal(1, 0.05, n)
    return ProbeRows.of(x=x.astype(np.float32), y=y, groups=np.array([f"e{k // 4}" for k in range(n)]), space=SPACE)


def chosen(*neurons: int) -> HNeurons:
    return HNeurons(neurons=neurons, weights=(1.0,) * len(neurons), space=SPACE, selection="l1")


def test_entities_are_drawn_as_a_whole_with_replacement() -> None:
    given = rows()
    weights = resample_weights(given, 20, seed=1)
    assert weights.shape == (240, 20)
    for group in np.unique(given.groups):
        assert (weights[given.groups == group] == weights[given.groups == group][0]).all()
    assert (weights.sum(0) == 240).all()
    assert len({tuple(w) for w in weights.T}) == 20
    np.testing.assert_array_equal(weights, resample_weights(given, 20, seed=1))
    assert (weights != resample_weights(given, 20, seed=2)).any()


@pytest.mark.parametrize("selector", [L1(C=(1.5, 3.0)), ElasticNet(C=(1.5, 3.0)), Ranking(counts=(2, 4))])
def test_planted_neurons_come_back_whatever_selects(selector: Selector) -> None:
    given = rows()
    weights = resample_weights(given, 10, seed=0)
    found = reselect(given, selector, selector.strengths, weights, range(10), seed=0)
    assert [(r.draw, r.strength) for r in found] == [(d, s) for d in range(10) for s in selector.strengths]
    often = frequencies(found, chosen(3, 60, 121), chosen=max(selector.strengths))
    told = {SPACE.flat(f.layer, f.index): f.frequency for f in often}
    assert told[3] >= 0.9
    assert told[121] >= 0.9
    assert told[60] + told[TWIN] >= 0.9
    assert max((f for n, f in told.items() if n not in (*PLANTED, TWIN)), default=0.0) < 0.9


@pytest.mark.parametrize("balanced", [None, "balanced"])
def test_l1_selects_on_a_resample_what_the_selection_itself_would(balanced: object) -> None:
    """liblinear on the drawn rows, a row as often as it was drawn, finds the same neurons at the same strengths."""
    given = rows()
    lopsided = np.r_[:240:2, 1:120:2]
    given = given.at(lopsided)
    selector = L1(C=(1.5, 3.0), class_weight=balanced, tolerance=1e-8)  # type: ignore[arg-type]
    weights = resample_weights(given, 3, seed=0)
    for resample in reselect(given, selector, selector.C, weights, range(3), seed=0):
        drawn = np.repeat(np.arange(len(given.y)), weights[:, resample.draw].astype(int))
        repeated = given.at(drawn)
        probe = next(p for p in selector.path(repeated, 0) if p.strength == resample.strength)
        assert set(resample.neurons) == set(probe.positive)


def test_frequencies_by_hand() -> None:
    found = [
        Resample(draw=0, strength=1.0, neurons=(5,)),
        Resample(draw=1, strength=1.0, neurons=(5,)),
        Resample(draw=0, strength=2.0, neurons=(5, 41)),
        Resample(draw=1, strength=2.0, neurons=(41,)),
    ]
    often = frequencies(found, chosen(7, 5), chosen=2.0)
    assert [(f.layer, f.index, f.frequency, f.highest, f.rank) for f in often] == [
        (1, 1, 1.0, 1.0, None),
        (0, 5, 0.5, 1.0, 2),
        (0, 7, 0.0, 0.0, 1),
    ]


def test_correlated_neurons_are_counted_and_clustered() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, SPACE.size))
    x[:, 1], x[:, 2] = x[:, 0] + 0.05 * draw.normal(size=200), -x[:, 0]
    x[:, 90], x[:, 20] = x[:, 10], 3.0
    given = ProbeRows.of(x=x.astype(np.float32), y=np.zeros(200, np.int8), groups=np.zeros(200, str), space=SPACE)
    found = correlated(given, (10, 2, 30, 0, 20), 0.8)
    assert found.partners == (1, 2, 0, 2, 0)  # 90; 0 and 1; none; 1 and 2; a constant has none
    assert found.clusters == (None, 1, None, 1, None)
    assert correlated(given, (0, 1, 10, 90), 0.8).clusters == (1, 1, 2, 2)
    assert correlated(given, (0, 1), 1.0).partners == (1, 0)  # its mirror image alone is exactly like it


def test_overlap_by_counting_every_pair_of_sets() -> None:
    """p of sharing 2 or more, from all 3-subsets and 4-subsets of 7."""
    found = overlap("strengths", {"C = 1": (0, 1, 2), "C = 2": (1, 2, 3, 4)}, 7)
    assert (found.shared, found.jaccard, found.sizes, found.pairs) == (2, 2 / 5, (3, 4), 1)
    pairs = [(set(a), set(b)) for a in combinations(range(7), 3) for b in combinations(range(7), 4)]
    assert len(pairs) == comb(7, 3) * comb(7, 4)
    assert found.p_value == pytest.approx(np.mean([len(a & b) >= 2 for a, b in pairs]))
    assert overlap("x", {"a": (1,), "b": (2,)}, 7).p_value == 1.0
    assert isnan(overlap("x", {"a": (), "b": ()}, 7).jaccard)
    assert overlap("strengths", {"C = 1": (1,), "C = 2": (1, 2)}).p_value is None  # of the same rows


@pytest.mark.parametrize("wrong", [{"resamples": 1}, {"resamples": -1}, {"correlation": 0.0}, {"correlation": 1.1}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="resamples must be 0 or at least 2"):
        StabilitySettings(**wrong)  # type: ignore[arg-type]
