"""Exact L1 paths over all neurons, from a file that is larger than memory. `solve_paths` is the entry."""

from hneuro.probe.solver.features import FeatureMatrix, features_in_memory, open_features
from hneuro.probe.solver.null import smallest_C
from hneuro.probe.solver.path import solve_paths
from hneuro.probe.solver.problem import Penalty, Problem, Settings, Solution, problem
from hneuro.probe.solver.transpose import transpose, write_features

__all__ = [
    "FeatureMatrix",
    "Penalty",
    "Problem",
    "Settings",
    "Solution",
    "features_in_memory",
    "open_features",
    "problem",
    "smallest_C",
    "solve_paths",
    "transpose",
    "write_features",
]
