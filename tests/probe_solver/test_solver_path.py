"""The path against scikit-learn, the optimality conditions themselves, and the promises about passes and problems."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from hneuro.probe.solver import Penalty, Solution, SolverSettings, features_in_memory, problem, smallest_C, solve_paths
from hneuro.records import UserError

FREE = Penalty()
TIGHT = SolverSettings(tolerance=1e-10)
MULTIPLES = (1.5, 4.0, 12.0, 40.0)


def dense(solution: Solution, n: int) -> np.ndarray:
    w = np.zeros(n)
    w[solution.neurons] = solution.weights
    return w


def objective(x, y, weight, C, w, b, l1_ratio=1.0, penalised=False, spread=1.0):
    """Written out anew: loss + penalty, with the weights penalised in units of `spread`."""
    sign = 2.0 * y - 1
    loss = weight @ np.logaddexp(0, -sign * (x.astype(np.float64) @ w + b))
    v = np.append(w * spread, b if penalised else 0.0)
    return loss + (l1_ratio * np.abs(v).sum() + (1 - l1_ratio) / 2 * v @ v) / C


def one(x, y, Cs, penalty=FREE, settings=TIGHT, **kwargs):
    (path,) = solve_paths(features_in_memory(x), [problem(y, **kwargs)], Cs, penalty, settings)
    return path


@pytest.mark.parametrize("C", [0.3, 1.0, 5.0])
def test_equals_liblinear_with_a_penalised_intercept(x, y, C):
    (ours,) = one(x, y, [C], Penalty(intercept="penalised"))
    theirs = LogisticRegression(l1_ratio=1, solver="liblinear", C=C, tol=1e-8, max_iter=1000).fit(x, y)
    w = theirs.coef_[0]
    reached = objective(x, y, np.ones(200), C, w, theirs.intercept_[0], penalised=True)
    assert ours.objective <= reached + 1e-9
    assert ours.objective == pytest.approx(reached, rel=1e-7)
    assert set(ours.neurons[ours.weights > 0]) == set(np.flatnonzero(w > 0))
    np.testing.assert_allclose(dense(ours, 300), w, atol=1e-4 * np.abs(w).max())


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.5])
def test_equals_saga_on_standardised_neurons(x, y, l1_ratio, class_weight):
    spread, mean = x.std(0, dtype=np.float64), x.mean(0, dtype=np.float64)
    standard = (x - mean) / spread
    (ours,) = one(x, y, [0.1], Penalty(l1_ratio=l1_ratio, standardised=True), class_weight=class_weight)
    theirs = LogisticRegression(
        l1_ratio=l1_ratio, solver="saga", C=0.1, tol=1e-8, max_iter=5000, class_weight=class_weight
    ).fit(standard, y)
    weight = problem(y, class_weight=class_weight).weight
    reached = objective(standard, y, weight, 0.1, theirs.coef_[0], theirs.intercept_[0], l1_ratio)
    assert ours.objective <= reached + 1e-9
    assert ours.objective == pytest.approx(reached, rel=1e-7)
    np.testing.assert_allclose(dense(ours, 300) * spread, theirs.coef_[0], atol=1e-4)
    at_ours = objective(x, y, weight, 0.1, dense(ours, 300), ours.bias, l1_ratio, spread=spread)
    assert at_ours == pytest.approx(ours.objective, rel=1e-12)


@pytest.mark.parametrize("standardised", [False, True])
@pytest.mark.parametrize("intercept", ["free", "penalised"])
@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_optimality_conditions_hold(x, y, l1_ratio, intercept, standardised):
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, 200).astype(float)
    penalty = Penalty(l1_ratio=l1_ratio, intercept=intercept, standardised=standardised)
    settings = SolverSettings(tolerance=1e-12, relative_C=True)
    (path,) = solve_paths(features_in_memory(x), [problem(y, weight)], MULTIPLES, penalty, settings)
    wide = x.astype(np.float64)
    mean, spread = (wide.mean(0), wide.std(0)) if standardised else (0.0, 1.0)
    z = (wide - mean) / spread
    for solution in path:
        v = dense(solution, 300) * spread
        b = solution.bias + float((v * mean / spread).sum())
        r = weight * (y - 1 / (1 + np.exp(-(z @ v + b))))
        pull = (z.T @ r) - (1 - l1_ratio) / solution.C * v
        l1 = l1_ratio / solution.C
        assert len(solution.neurons) > 0
        np.testing.assert_allclose(pull[v != 0], l1 * np.sign(v[v != 0]), rtol=1e-4)
        assert (np.abs(pull) <= l1 * (1 + 1e-4)).all()
        intercept_pull = r.sum() - (
            (1 - l1_ratio) / solution.C * b + l1 * np.sign(b) if intercept == "penalised" else 0
        )
        assert abs(intercept_pull) < 1e-9 * weight.sum() or (b == 0 and abs(r.sum()) <= l1)


@pytest.mark.parametrize("penalty", [Penalty(), Penalty(l1_ratio=0.5), Penalty(intercept="penalised")])
def test_gap_bounds_the_true_suboptimality(x, y, penalty):
    best = one(x, y, [1.0, 20.0], penalty, SolverSettings(tolerance=1e-12))
    rough = one(x, y, [1.0, 20.0], penalty, SolverSettings(tolerance=0.05))
    for exact, solution in zip(best, rough, strict=True):
        assert exact.gap <= 1e-12
        excess = (solution.objective - exact.objective) / solution.objective
        assert -1e-12 <= excess <= solution.gap <= 0.05
    assert any(s.objective > e.objective * (1 + 1e-9) for s, e in zip(rough, best, strict=True))


@pytest.mark.parametrize(
    "penalty", [Penalty(), Penalty(l1_ratio=0.5, standardised=True), Penalty(intercept="penalised")]
)
@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_nothing_is_selected_up_to_the_smallest_c_and_something_above(x, y, penalty, class_weight):
    features, task = features_in_memory(x), problem(y, class_weight=class_weight)
    (C_min,) = smallest_C(features, [task], penalty)
    tight = SolverSettings(tolerance=1e-14)
    (path,) = solve_paths(features, [task], [C_min * (1 - 1e-6), C_min * (1 + 1e-3)], penalty, tight)
    assert len(path[0].neurons) == 0
    assert len(path[1].neurons) >= 1
    (relative,) = solve_paths(features, [task], [2.0], penalty, SolverSettings(relative_C=True))
    assert pytest.approx(2 * C_min) == relative[0].C


def test_problems_in_lockstep_equal_each_alone(x, y):
    features, rng = features_in_memory(x), np.random.default_rng(1)
    resamples = [problem(y, rng.multinomial(200, np.full(200, 1 / 200))) for _ in range(5)]
    flipped = problem(1 - y)
    settings = SolverSettings(relative_C=True)
    together = solve_paths(features, [*resamples, flipped], MULTIPLES, settings=settings)
    for task, path in zip([*resamples, flipped], together, strict=True):
        (alone,) = solve_paths(features, [task], MULTIPLES, settings=settings)
        for a, b in zip(alone, path, strict=True):
            assert (a.C, a.neurons.tolist(), a.passes) == (b.C, b.neurons.tolist(), b.passes)
            np.testing.assert_allclose(a.weights, b.weights, rtol=1e-9)


def test_rows_of_weight_zero_are_as_if_they_were_not_there(x, y):
    weight = np.ones(200)
    weight[::3] = 0
    kept = weight > 0
    masked = one(x, y, [5.0], weight=weight)[0]
    dropped = one(x[kept], y[kept], [5.0])[0]
    assert masked.objective == pytest.approx(dropped.objective, rel=1e-10)
    assert masked.neurons.tolist() == dropped.neurons.tolist()


@pytest.mark.parametrize("intercept", ["free", "penalised"])
def test_what_is_reported_belongs_to_its_own_C(x, y, intercept):  # noqa: N802
    Cs = [3.0, 3.0001, 3.1, 20.0]
    for solution in one(x, y, Cs, Penalty(intercept=intercept), SolverSettings(tolerance=0.01)):
        w = dense(solution, 300)
        at = objective(x, y, np.ones(200), solution.C, w, solution.bias, penalised=intercept == "penalised")
        assert solution.objective == pytest.approx(at, rel=1e-12)
        (exact,) = one(x, y, [solution.C], Penalty(intercept=intercept))
        assert 0 <= solution.objective - exact.objective <= solution.gap * solution.objective


def test_a_gap_that_cannot_be_reached_is_reported_as_it_is(x, y):
    (solution,) = one(x, y, [5.0], settings=SolverSettings(tolerance=1e-30))
    assert not solution.converged
    assert 1e-30 < solution.gap < 1e-10
    assert solution.passes <= 4


def test_a_fine_grid_needs_little_more_than_a_pass_each(x, y):
    path = one(x, y, list(np.geomspace(1, 30, 25)), settings=SolverSettings())
    assert all(solution.converged and solution.gap <= 1e-4 for solution in path)
    assert sum(solution.passes for solution in path) <= 25 + 6


def test_a_working_set_smaller_than_needed_still_ends_at_the_optimum(x, y):
    (full,) = one(x, y, [20.0])
    (cramped,) = one(x, y, [20.0], settings=dataclasses.replace(TIGHT, memory=20 * 4 * 200))
    assert len(full.neurons) > 20
    assert cramped.passes > full.passes
    assert cramped.objective == pytest.approx(full.objective, rel=1e-9)


def test_constants_and_duplicates(x, y):
    x[:, 20] = 0.0
    x[:, 21] = 7.0
    x[:, 5] = x[:, 3]
    for penalty in (Penalty(), Penalty(standardised=True), Penalty(l1_ratio=0.5)):
        for solution in one(x, y, [0.3, 10.0], penalty, SolverSettings(tolerance=1e-8)):
            assert solution.converged
            assert not {20, 21} & set(solution.neurons)


def test_separable_classes_have_a_finite_optimum(y):
    x = np.stack([y + 0.1 * np.sin(np.arange(200)), np.cos(np.arange(200))], axis=1).astype(np.float32)
    path = one(x, y, [1.0, 1e3, 1e6], settings=SolverSettings(tolerance=1e-6))
    assert all(solution.converged for solution in path)
    assert path[-1].objective < path[0].objective
    np.testing.assert_array_equal((x[:, path[-1].neurons] @ path[-1].weights + path[-1].bias) > 0, y == 1)


def test_what_cannot_be_solved_says_so(x, y):
    with pytest.raises(UserError, match="no faithful"):
        problem(np.ones(200, int))
    with pytest.raises(UserError, match="no hallucinated"):
        problem(y, weight=(y == 0).astype(float))
    with pytest.raises(UserError, match="same value in all rows"):
        one(np.ones((200, 3)), y, [2.0], settings=SolverSettings(relative_C=True))
    x[17, 42] = np.nan
    with pytest.raises(UserError, match=r"neuron 42 is nan in row 17"):
        features_in_memory(x)
    with pytest.raises(ValueError, match="100 rows"):
        one(x[:100, :3], y, [1.0])
    with pytest.raises(ValueError, match="above 0"):
        one(np.ones((200, 3)), y, [0.0])
