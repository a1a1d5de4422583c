"""Checkpoints on the way: the same readers on the few columns that are kept, paired with the base model."""

from __future__ import annotations

import numpy as np
import pytest

from hneuro.detection.detector import Classifier
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import NeuronSpace, Probe, ProbeRows
from hneuro.origin.transfer import Readers, backward_transfer, transfer_at

SPACE = NeuronSpace(n_layers=3, width=20)
Y = np.array([1, 0] * 40, dtype=np.int8)
WEIGHT = np.zeros(60)
WEIGHT[[41, 12]] = 1.0, -0.5


def detector(*columns: int) -> Classifier:
    return Classifier(columns=columns, weight=np.arange(1.0, 1 + len(columns)), bias=-1.0, threshold=0.0)


READERS = Readers(
    probe=Probe(weight=WEIGHT, bias=0.5, strength=2.0, space=SPACE),
    detector=detector(41),
    controls=(detector(33), detector(5), detector(50, 2)),
)


def answers(x: np.ndarray, space: NeuronSpace) -> AnswerSet:
    rows = ProbeRows.of(x=x, y=Y, groups=np.arange(80).astype(str), space=space)
    return AnswerSet(name="people", rows=rows, baselines=np.zeros((80, 3)))


def at_strength(strength: float) -> np.ndarray:
    """CETT [row, neuron] in which neuron 41 tells, as clearly as asked for."""
    x = np.random.default_rng(1).normal(size=(80, 60)).astype(np.float32)
    x[:, 41] += strength * Y
    return x


def test_few_columns_say_what_all_of_them_say() -> None:
    assert READERS.neurons == (2, 5, 12, 33, 41, 50)
    whole = at_strength(1.0)
    few = answers(whole[:, list(READERS.neurons)], NeuronSpace(n_layers=1, width=6))
    scores = [READERS.detector.scores_of(answers(whole, SPACE).rows)]
    found = list(transfer_at("early", READERS, [few], scores))
    expected = backward_transfer(READERS, [answers(whole, SPACE)])
    assert [(r.condition, r.value, r.low, r.p_value) for r in found[:3]] == [
        (r.condition, r.value, r.low, r.p_value) for r in expected
    ]
    assert {(r.stage, r.stratum, r.seed) for r in found} == {("moments", "early", None)}
    same = found[3]
    assert (same.metric, same.value, same.p_value) == ("auroc_minus_base", 0.0, 1.0)


def test_what_is_not_there_yet_lies_below_the_base_model() -> None:
    finished = [READERS.detector.scores_of(answers(at_strength(2.0), SPACE).rows)]
    early = answers(at_strength(0.0)[:, list(READERS.neurons)], NeuronSpace(n_layers=1, width=6))
    rows = {(r.metric, r.condition): r for r in transfer_at("early", READERS, [early], finished)}
    assert rows["auroc", "h_neurons"].value == pytest.approx(0.5, abs=0.2)
    minus = rows["auroc_minus_base", "h_neurons"]
    assert minus.high is not None
    assert minus.high < -0.2
    assert minus.p_value is not None
    assert minus.p_value < 0.01
