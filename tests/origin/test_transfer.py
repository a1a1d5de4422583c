"""Backward transfer: the chat model's detectors, as they are, on the base model's rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.metrics import roc_auc_score

from hneuro.detection.detector import Classifier
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import HNeurons, NeuronSpace, Probe, ProbeRows
from hneuro.origin.transfer import Readers, backward_transfer, shared_neurons
from hneuro.result_records import ResultRow
from hneuro.significance import share_at_least

SPACE = NeuronSpace(n_layers=1, width=8)
DRAW = np.random.default_rng(0)
Y = np.array([1, 0] * 30, dtype=np.int8)
X = (DRAW.normal(size=(60, 8)) + np.outer(Y, [2, 0, 0, 0, 0, 0, 0, 0]) + 5).astype(np.float32)


def base_set(name: str, shift: float = 0.0) -> AnswerSet:
    rows = ProbeRows.of(x=X + np.float32(shift), y=Y, groups=np.arange(60).astype(str), space=SPACE)
    return AnswerSet(name=name, rows=rows, baselines=np.zeros((60, 3)))


def detector(column: int) -> Classifier:
    return Classifier(columns=(column,), weight=np.array([1.0]), bias=0.0, threshold=0.0)


PROBE = Probe(weight=np.eye(8)[0] - 0.5 * np.eye(8)[1], bias=3.0, strength=1.0, space=SPACE)
READERS = Readers(probe=PROBE, detector=detector(0), controls=tuple(detector(n) for n in range(1, 8)))


def one(rows: tuple[ResultRow, ...], condition: str, dataset: str = "trivia") -> ResultRow:
    (row,) = [r for r in rows if (r.condition, r.dataset) == (condition, dataset)]
    return row


def test_rows_are_the_areas_of_unchanged_detectors() -> None:
    rows = backward_transfer(READERS, [base_set("trivia"), base_set("nq")])
    assert len(rows) == 6
    assert {(r.stage, r.metric) for r in rows} == {("origin", "auroc")}
    assert one(rows, "h_neurons").value == pytest.approx(roc_auc_score(Y, X[:, 0]))
    assert one(rows, "probe").value == pytest.approx(roc_auc_score(Y, PROBE.scores(base_set("trivia").rows)))
    null = [roc_auc_score(Y, X[:, n]) for n in range(1, 8)]
    random = one(rows, "h_neurons/random")
    low = pytest.approx(np.quantile(null, 0.025))
    assert (random.value, random.low, random.n) == (pytest.approx(np.mean(null)), low, 7)
    assert one(rows, "h_neurons").p_value == share_at_least(one(rows, "h_neurons").value, null) == 1 / 8
    assert one(rows, "probe").p_value is None


def test_the_base_model_s_own_probe_is_paired_on_the_same_rows() -> None:
    own = Probe(weight=np.eye(8)[0], bias=0.0, strength=1.0, space=SPACE)
    weak = Probe(weight=np.eye(8)[5], bias=0.0, strength=1.0, space=SPACE)
    rows = backward_transfer(replace(READERS, probe=weak), [base_set("trivia")], own)
    areas = {r.condition: r for r in rows if r.metric == "auroc"}
    assert areas["base_probe"].value == pytest.approx(roc_auc_score(Y, X[:, 0]))
    minus = {r.condition: r for r in rows if r.metric == "auroc_minus_base_probe"}
    assert (minus["h_neurons"].value, minus["h_neurons"].p_value) == (0.0, 1.0)
    lacks = minus["probe"]
    assert lacks.value == pytest.approx(areas["probe"].value - areas["base_probe"].value)
    assert lacks.high is not None
    assert lacks.high < 0
    assert lacks.p_value is not None
    assert lacks.p_value < 0.01


def test_shared_neurons_are_counted_against_chance() -> None:
    space = NeuronSpace(n_layers=2, width=50)
    weight = np.zeros(100)
    weight[[3, 7, 60, 61]], weight[8] = 1.0, -1.0
    own = Probe(weight=weight, bias=0.0, strength=1.0, space=space)
    both = HNeurons(neurons=(7, 3, 60, 9, 8), weights=(1.0,) * 5, space=space, selection="l1")
    row = shared_neurons(both, own)
    assert (row.value, row.n) == (3, 5), "a negative weight selects nothing"
    assert "of 5 H-Neurons and 4 that" in row.note
    assert "0.20 would be shared by chance" in row.note
    assert row.p_value == pytest.approx(hypergeom.sf(2, 100, 5, 4))
