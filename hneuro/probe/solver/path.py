"""Exact L1-penalised logistic regression over all neurons of a feature file: a path of C, several problems at once.

The working-set method: solve on the few thousand features that may matter, pass over the file, and either prove the
optimum or take in what violates it. A smaller C starts the next larger one. Problems share each pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from hneuro.probe.solver.features import FeatureMatrix
from hneuro.probe.solver.null import smallest_C
from hneuro.probe.solver.problem import Penalty, Problem, Settings, Solution
from hneuro.probe.solver.scan import Scaling, scan
from hneuro.probe.solver.walk import Walk

DEFAULT_PENALTY, DEFAULT_SETTINGS = Penalty(), Settings()


def solve_paths(
    features: FeatureMatrix,
    problems: Sequence[Problem],
    Cs: Sequence[float],
    penalty: Penalty = DEFAULT_PENALTY,
    settings: Settings = DEFAULT_SETTINGS,
) -> list[tuple[Solution, ...]]:
    """For each problem its solutions at all C, ascending.

    All problems advance in lockstep, so that a pass over the file serves them all; each has its own working set, C_min
    and number of passes. Every solution carries the relative duality gap that proves it.
    """
    if not Cs or min(Cs) <= 0:
        raise ValueError("Cs needs at least one value, all above 0")
    if any(len(problem.y) != features.n_rows for problem in problems):
        raise ValueError(f"every problem must label the {features.n_rows} rows of the features; a row may weigh 0")
    units = smallest_C(features, problems, penalty) if settings.relative_C else [1.0] * len(problems)
    scaling = Scaling(features, penalty.standardised)
    walks = [
        Walk(scaling, problem, [unit * C for C in sorted(Cs)], penalty, settings)
        for problem, unit in zip(problems, units, strict=True)
    ]
    while active := [walk for walk in walks if not walk.done]:
        found = scan(scaling, [walk.residual for walk in active], [walk.threshold for walk in active])
        for walk, candidates in zip(active, found, strict=True):
            walk.advance(candidates)
    return [tuple(walk.solutions) for walk in walks]
