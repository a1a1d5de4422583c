"""What the proof rests on: error bounds of a pass, the bound on what it did not keep, and feasible dual points."""

from __future__ import annotations

import numpy as np
import pytest

from hneuro.probe.solver import (
    Penalty,
    SolverSettings,
    features_in_memory,
    path,
    problem,
    scan,
    smallest_C,
    solve_paths,
)
from hneuro.probe.solver.loss import balance, fit_intercept, loss, lower_bound, residual
from hneuro.probe.solver.scan import Scaling

TIGHT = SolverSettings(tolerance=1e-12)


@pytest.mark.parametrize("standardised", [False, True])
def test_each_gradient_lies_within_its_slack(standardised):
    rng = np.random.default_rng(0)
    x = (rng.lognormal(0, 2, (3000, 400)) + 10 ** rng.uniform(-3, 4, 400)).astype(np.float32)  # sums that cancel
    r = rng.standard_normal(3000)
    r -= r.mean()
    wide = x.astype(np.float64)
    z = (wide - wide.mean(0)) / wide.std(0) if standardised else wide
    exact = z.T @ r
    (found,) = scan.scan(Scaling(features_in_memory(x), standardised), [r], [0.0])
    assert found.neurons.tolist() == list(range(400))
    assert (np.abs(found.gradient - exact) <= found.slack).all()
    scale = np.linalg.norm(wide, axis=0) / (wide.std(0) if standardised else 1.0)
    assert (found.slack <= 2e-4 * scale * np.linalg.norm(r)).all()


@pytest.mark.parametrize("threshold", [0.0, 2.0, 1e9])
def test_what_is_not_kept_lies_below_the_ceiling(x, threshold, monkeypatch):
    monkeypatch.setattr(scan, "KEEP", 16)
    features = features_in_memory(np.tile(x, (1, 40)) * np.linspace(0.5, 2, 12_000, dtype=np.float32))
    features.block = 10
    r = np.random.default_rng(1).standard_normal(200)
    exact = np.abs(features.values.astype(np.float64) @ r)
    (found,) = scan.scan(Scaling(features, False), [r], [threshold])
    rest = np.delete(exact, found.neurons)
    assert rest.max() <= found.ceiling <= rest.max() * 1.001
    assert len(found.neurons) == min(16, (exact >= threshold).sum())
    assert exact[found.neurons].min(initial=np.inf) >= rest.max() * 0.999


def test_a_path_with_few_candidates_is_still_proven(x, y, monkeypatch):
    features, Cs = features_in_memory(x), [1.0, 20.0]
    (full,) = solve_paths(features, [problem(y)], Cs, settings=TIGHT)
    monkeypatch.setattr(scan, "KEEP", 80)
    (cut,) = solve_paths(features, [problem(y)], Cs, settings=SolverSettings(tolerance=1e-6))
    for exact, solution in zip(full, cut, strict=True):
        assert solution.converged
        assert solution.objective - exact.objective <= solution.gap * solution.objective
    assert {len(solution.neurons) for solution in cut} <= set(range(20, 80))


@pytest.mark.parametrize(("l1_ratio", "intercept"), [(1.0, "free"), (1.0, "penalised"), (0.5, "free")])
def test_the_lower_bound_holds_at_any_point(x, y, l1_ratio, intercept):
    C, c = 5.0, np.random.default_rng(2).uniform(0.5, 2, 200)
    penalty = Penalty(l1_ratio=l1_ratio, intercept=intercept)
    ((best,),) = solve_paths(features_in_memory(x), [problem(y, c)], [C], penalty, TIGHT)
    l1, l2 = l1_ratio / C, (1 - l1_ratio) / C
    rng = np.random.default_rng(3)
    for size in (0.0, 0.1, 1.0, 10.0):
        f = x @ (size * rng.standard_normal(300)) + rng.normal(0, 2)
        r = residual(f, y.astype(float), c)
        r = balance(r) if intercept == "free" else r
        assert intercept == "penalised" or abs(r.sum()) < 1e-10
        gradient = x.astype(np.float64).T @ r
        gradient = np.append(gradient, r.sum()) if intercept == "penalised" else gradient
        all_seen = lower_bound(r, c, gradient, 0.0, l1, l2)
        largest = np.argsort(np.abs(gradient))
        few_seen = lower_bound(r, c, gradient[largest[-5:]], float(np.abs(gradient[largest[-6]])), l1, l2)
        assert max(all_seen, few_seen) <= best.objective + 1e-8


def test_the_intercept_is_the_best_one(x, y):
    c, f = np.random.default_rng(4).uniform(0.5, 2, 200), 3 * x[:, 0].astype(np.float64) + 4
    for l1, l2 in ((0.0, 0.0), (2.0, 0.0), (2.0, 3.0), (500.0, 0.0)):
        b = fit_intercept(f, y.astype(float), c, l1, l2, 0.0)
        values = [loss(f + t, y, c) + l1 * abs(t) + l2 * t * t / 2 for t in (b, b - 1e-4, b + 1e-4, 0.0)]
        assert values[0] == min(values)
    assert b == 0


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_the_first_neuron_under_a_penalised_intercept_is_found_from_a_poor_pool(x, y, l1_ratio, monkeypatch):
    features, penalty = features_in_memory(x * 0.05), Penalty(l1_ratio=l1_ratio, intercept="penalised")
    monkeypatch.setattr(path, "POOL", 1)
    (C_min,) = smallest_C(features, [problem(y)], penalty)
    ((below, above),) = solve_paths(features, [problem(y)], [C_min * 0.99999, C_min * 1.001], penalty, TIGHT)
    assert below.bias != 0  # the intercept entered long before
    assert (len(below.neurons), len(above.neurons)) == (0, 1)
