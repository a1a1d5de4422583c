"""Found on one set, tested on another: planted sets that share their neurons, and one that has others."""

from __future__ import annotations

import numpy as np
import pytest

from hneuro.detection.mechanism.transfer import first_half, transfer_rows
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import HNeurons, NeuronSpace, ProbeRows
from hneuro.probe.selectors import L1, Ranking, Selector
from hneuro.result_records import ResultRow

SPACE = NeuronSpace(n_layers=4, width=50)
OWN = HNeurons(neurons=(3, 60), weights=(1.0, 1.0), space=SPACE, selection="l1")


def answer_set(name: str, planted: list[int], n: int = 240, wrong: float = 0.5) -> AnswerSet:
    draw = np.random.default_rng(len(name))
    y = (np.arange(n) < wrong * n).astype(np.int8)
    x = draw.lognormal(0, 0.4, (n, SPACE.size))
    x[np.ix_(y == 1, planted)] *= 2.5
    groups = np.array([f"{name}{k // 2}" for k in range(n)])
    rows = ProbeRows.of(x=x.astype(np.float32), y=y, groups=groups, space=SPACE)
    return AnswerSet(name=name, rows=rows, baselines=np.zeros((n, 3)))


def found(selector: Selector, strength: float, *sets: AnswerSet) -> list[ResultRow]:
    own = {s.name: s.rows for s in sets if isinstance(s.rows, ProbeRows)}
    return list(transfer_rows(sets, own, selector, OWN, strength, 20, 0))


def cell(rows: list[ResultRow], source: str, tested: str) -> ResultRow:
    (row,) = [r for r in rows if (r.metric, r.dataset, r.stratum) == ("transfer_auroc", tested, source)]
    return row


@pytest.mark.parametrize(("selector", "strength"), [(L1(), 5.0), (Ranking(counts=(2, 5)), 2)])
def test_shared_neurons_transfer_and_others_do_not(selector: Selector, strength: float) -> None:
    sets = (answer_set("one", [3, 60]), answer_set("second", [3, 60]), answer_set("another", [150, 151]))
    rows = found(selector, strength, *sets)
    for source, tested, works in (("one", "second", True), ("second", "one", True), ("one", "one", True)):
        assert (cell(rows, source, tested).value > 0.9) is works
    for source, tested in (("one", "another"), ("another", "one")):
        assert 0.3 < cell(rows, source, tested).value < 0.7
    assert cell(rows, "one", "second").n < 240
    jaccard = {(r.dataset, r.stratum): r for r in rows if r.metric == "jaccard"}
    assert len(jaccard) == 6
    alike, apart = jaccard["one", "second"], jaccard["one", "another"]
    assert alike.p_value is not None
    assert alike.p_value < 0.01
    assert alike.value > apart.value
    assert apart.p_value is not None
    assert apart.p_value > 0.05
    assert jaccard["h_neurons", "one"].n == 2


def test_no_entity_is_trained_and_tested_on_even_where_two_sets_have_it() -> None:
    groups = [np.array(["a", "b", "c", "d"]), np.array(["c", "d", "e", "f"])]
    first = first_half(groups, 0)
    assert len(first) == 3
    assert first == first_half(groups[::-1], 0) != first_half(groups, 1)
    # A neuron that tells on the first half alone: whoever tested on what was trained on would see it.
    spoilt = answer_set("one", [3])
    assert isinstance(spoilt.rows, ProbeRows)
    half = np.isin(spoilt.rows.groups, list(first_half([spoilt.rows.groups], 0)))
    spoilt.rows.table[:, 3] = np.where(half, 10 * spoilt.rows.y, 5)
    assert cell(found(L1(), 1.5, spoilt), "one", "one").value == 0.5


def test_what_is_too_small_or_selects_nothing_is_absent_with_its_reason() -> None:
    sets = (answer_set("one", [3, 60]), answer_set("small", [3], n=60), answer_set("uneven", [3], wrong=0.05))
    rows = found(L1(), 5.0, *sets)
    reasons = {r.dataset: r.note for r in rows if r.metric == "neurons" and np.isnan(r.value)}
    assert "20 of each are needed" in reasons["small"]
    assert "20 of each are needed" in reasons["uneven"]
    assert np.isnan(cell(rows, "one", "small").value)
    assert "20 of each are needed" in cell(rows, "one", "small").note
    (none,) = [r for r in found(L1(C=(0.5,)), 0.5, sets[0]) if r.metric == "neurons"]
    assert none.note == "at the chosen strength its probe selects no neuron"
