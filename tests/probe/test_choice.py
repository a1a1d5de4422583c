"""The choice of C: the sparsest probe within the tolerance, by what the select split says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hneuro.neurons import NeuronSpace, Probe, ProbeRows
from hneuro.probe.choice import AccuracyPlusKnown, Sparsest, choose, h_neurons
from hneuro.records import UserError
from hneuro.statistics import youden_threshold

SPACE = NeuronSpace(n_layers=1, width=4)


def rows(seed: int, n: int = 60) -> ProbeRows:
    """Neuron 0 tells y well, neuron 1 a little better, 2 and 3 not at all."""
    draw = np.random.default_rng(seed)
    y = np.array([1, 0] * (n // 2), dtype=np.int8)
    x = draw.normal(size=(n, 4)) + np.outer(y, [1.4, 1.6, 0, 0])
    return ProbeRows.of(x=x.astype(np.float32), y=y, groups=np.arange(n).astype(str), space=SPACE)


def probe(strength: float, *weight: float) -> Probe:
    return Probe(weight=np.array(weight), bias=-1.0, strength=strength, space=SPACE)


PATH = (
    probe(1.0, 0, 0, 0, 0),
    probe(2.0, 0, 0, 1, 0),
    probe(3.0, 1, 0, 0, 0),
    probe(4.0, 1, 1, 0, -0.1),
    probe(5.0, 1, 1, 0.3, 0.3),
)


def test_points_say_what_every_probe_gives() -> None:
    fit, select = rows(0), rows(1)
    _, path = choose(PATH, fit, select, Sparsest())
    assert [(p.strength, p.nonzero, p.positive) for p in path] == [
        (1.0, 0, 0), (2.0, 1, 1), (3.0, 1, 1), (4.0, 3, 2), (5.0, 4, 4)
    ]  # fmt: skip
    scores = PATH[3].scores(select)
    threshold = youden_threshold(fit.y, PATH[3].scores(fit))
    assert path[3].auroc == pytest.approx(roc_auc_score(select.y, scores))
    assert path[3].accuracy == pytest.approx(((scores > threshold) == select.y).mean())
    assert path[3].n == len(select.y)
    for metric in ("accuracy", "auroc"):
        told = path[3].estimate(metric)
        assert 0 <= told.low < told.value < told.high <= 1


@pytest.mark.parametrize("metric", ["auroc", "accuracy"])
def test_the_sparsest_within_the_tolerance_is_chosen(metric: str) -> None:
    fit, select = rows(0), rows(1)
    best, path = choose(PATH, fit, select, Sparsest(metric=metric, tolerance=0.0))
    values = [getattr(p, metric) for p in path]
    (place,) = [n for n, point in enumerate(path) if point.chosen]
    assert best is PATH[place]
    assert values[place] == max(values[1:])
    gap = max(values[1:]) - values[2]
    assert gap > 0
    sparser, path = choose(PATH, fit, select, Sparsest(metric=metric, tolerance=gap + 1e-9))
    assert sparser is PATH[2]
    assert [p.chosen for p in path] == [False, False, True, False, False]
    backwards, _ = choose(PATH[::-1], fit, select, Sparsest(metric=metric, tolerance=gap + 1e-9))
    assert backwards is sparser


def test_a_probe_without_positive_weights_is_never_chosen() -> None:
    better = probe(0.5, 0, 0, 0, -1.0)
    chosen, _ = choose((better, PATH[1]), rows(0), rows(1), Sparsest(tolerance=1.0))
    assert chosen is PATH[1]
    with pytest.raises(UserError, match=r"widen probe.C upwards"):
        choose((PATH[0], better), rows(0), rows(1), Sparsest())


def test_the_paper_s_criterion_weighs_what_suppression_costs() -> None:
    fit, select = rows(0), rows(1)
    _, path = choose(PATH, fit, select, Sparsest())
    accuracy = [p.accuracy for p in path]
    assert accuracy[3] == max(accuracy)
    for known, place in (
        ([None, 0.5, 0.9, 0.9, 0.2], 3),  # the best on the select split costs nothing
        ([None, 0.5, 0.9, 0.9 - (accuracy[3] - accuracy[2]) - 0.01, 0.2], 2),  # it costs more than it gains
        ([None, 0.9, float("nan"), None, 0.0], 1),  # what was not measured is not guessed
    ):
        chosen, path = choose(PATH, fit, select, AccuracyPlusKnown(), known)
        assert chosen is PATH[place]
        assert [p.suppressed_accuracy for p in path] == pytest.approx(known, nan_ok=True)
        assert [p.chosen for p in path].index(True) == place


def test_nothing_judged_under_suppression_is_said() -> None:
    with pytest.raises(UserError, match=r"choice=paper.*use choice=sparsest"):
        choose(PATH, rows(0), rows(1), AccuracyPlusKnown(), [None] * 5)


def test_h_neurons_are_the_positive_weights_heaviest_first() -> None:
    found = h_neurons(probe(1.0, 0.5, -3.0, 2.0, 0.5), "l1")
    assert found.neurons == (2, 0, 3)
    assert found.weights == (2.0, 0.5, 0.5)
    assert found.selection == "l1"
    assert found.per_mille == 750.0
