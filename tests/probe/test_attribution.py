"""Sets by effect, their path, and how they lie to the neurons that tell."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hneuro.neurons import NeuronSpace, ProbeRows
from hneuro.probe.attribution import Attribution, each_auroc, tells_and_does
from hneuro.probe.selectors import Selector
from hneuro.probe.stability import resample_weights, reselect

SPACE = NeuronSpace(n_layers=2, width=50)


def rows(values: np.ndarray, y: np.ndarray | None = None) -> ProbeRows:
    count = len(values)
    labels = np.zeros(count, np.int8) if y is None else y.astype(np.int8)
    return ProbeRows.of(values.astype(np.float32), labels, np.array([f"e{n}" for n in range(count)]), SPACE)


def effects() -> np.ndarray:
    """Of 12 prompts; neuron n has about the effect n - 49.5, so that half of them raise the odds."""
    return np.arange(-49.5, 50) + np.random.default_rng(0).normal(0, 0.1, (12, 100))


def test_the_path_is_the_largest_effects_of_either_sign() -> None:
    selector = Attribution(counts=(20, 3))
    assert isinstance(selector, Selector)
    three, twenty = selector.path(rows(effects()), seed=0)
    assert (three.strength, twenty.strength) == selector.strengths[::-1] == (3.0, 20.0)
    assert three.positive == (97, 98, 99)
    assert np.flatnonzero(three.weight < 0).tolist() == [0, 1, 2]
    assert twenty.positive == tuple(range(80, 100))
    np.testing.assert_allclose(three.weight[97:], effects()[:, 97:].mean(0), rtol=1e-5)


def test_a_neuron_that_lowers_the_odds_is_never_among_those_that_raise_them() -> None:
    (most,) = Attribution(counts=(80,)).path(rows(effects()), seed=0)
    assert most.positive == tuple(range(50, 100))
    assert (most.weight[:50] < 0).all()


def test_resamples_of_the_entities_select_by_their_own_effects() -> None:
    """Every prompt of the same label, which a resample of answers could not have."""
    noisy = rows(effects() * np.random.default_rng(1).uniform(0.2, 5, (12, 100)))
    weights = resample_weights(noisy, 6, seed=0)
    found = reselect(noisy, Attribution(counts=(5, 10)), (5.0,), weights, range(6), seed=0)
    assert [(r.draw, r.strength, len(r.neurons)) for r in found] == [(n, 5.0, 5) for n in range(6)]
    assert len({r.neurons for r in found}) > 1


@pytest.mark.parametrize("values", [{"counts": ()}, {"counts": (0,)}, {"items": 1}, {"token_budget": 0}])
def test_values_that_make_no_sense(values: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="at least"):
        Attribution(**values)  # type: ignore[arg-type]


def test_the_auroc_of_every_neuron_is_that_of_scikit_learn() -> None:
    draw = np.random.default_rng(2)
    values, y = draw.integers(0, 5, (40, 100)).astype(float), draw.integers(0, 2, 40)  # with ties
    values[:, 7] = 1.0
    table = rows(values, y)
    np.testing.assert_allclose(each_auroc(table), [roc_auc_score(y, column) for column in values.T])
    assert each_auroc(table)[7] == 0.5


def test_all_neurons_are_in_the_grid_and_both_sets_are_compared_at_equal_size() -> None:
    probes = Attribution(counts=(4, 10)).path(rows(effects()), seed=0)
    tells, does = np.linspace(0.3, 0.9, 100), effects().mean(0)
    found = tells_and_does(tells, does, np.argsort(-tells), probes, probes[0], (40, 12))
    assert sum(cell.count for cell in found.cells) == 100
    for cell in found.cells:
        inside = (tells >= cell.tells[0] - 1e-9) & (tells <= cell.tells[1] + 1e-9)
        inside &= (does >= cell.does[0] - 1e-9) & (does <= cell.does[1] + 1e-9)
        assert inside.sum() >= cell.count > 0
    assert sorted(found.telling) == sorted(found.doing)
    assert [(o.shared, o.sizes) for o in found.overlaps] == [(4, (4, 4)), (10, (10, 10))]
    assert found.overlaps[0].p_value == pytest.approx(1 / 3921225)  # of 100 choose 4
    apart = tells_and_does(tells, does, np.argsort(tells), probes, probes[0], (40, 12))
    assert (apart.overlaps[0].shared, apart.overlaps[0].p_value) == (0, 1.0)
