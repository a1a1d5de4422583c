"""Exact L1 paths over all neurons, from a file that is larger than memory. `solve_paths` is the entry."""

from hneuro.probe.solver.features import FeatureMatrix, Precision, features_in_memory, stored_form, transposed
from hneuro.probe.solver.path import smallest_C, solve_paths
from hneuro.probe.solver.problem import Penalty, Problem, Solution, SolverSettings, problem

__all__ = [
    "FeatureMatrix",
    "Penalty",
    "Precision",
    "Problem",
    "Solution",
    "SolverSettings",
    "features_in_memory",
    "problem",
    "smallest_C",
    "solve_paths",
    "stored_form",
    "transposed",
]
