"""The feature file: what is written is what was given, nothing half-written is ever seen, and memory stays small."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hneuro.pipeline import stored as steps_features
from hneuro.pipeline.stored import features_in_file
from hneuro.probe.solver import (
    FeatureMatrix,
    Precision,
    SolverSettings,
    features_in_memory,
    problem,
    solve_paths,
    transposed,
)
from hneuro.probe.solver.features import MEAN, NORM, SPREAD, UNIT, widen
from hneuro.records import UserError
from hneuro.store import Store


def in_file(folder: Path, x: np.ndarray, precision: Precision = "float32") -> FeatureMatrix:
    table = np.asarray(x, dtype=np.float32)
    return features_in_file(Store(folder), {"of": "test"}, table.shape[::-1], partial(transposed, table), precision)


@pytest.fixture
def small_stripes(monkeypatch):
    monkeypatch.setattr(steps_features, "STRIPE_BYTES", 4 * 200 * 64)  # 64 neurons at a time


@pytest.mark.usefixtures("small_stripes")
def test_transposed_out_of_core_is_the_transpose(tmp_path, x):
    features = in_file(tmp_path, x)
    assert features.values.dtype == np.float32
    np.testing.assert_array_equal(features.values, x.T)
    np.testing.assert_array_equal(np.concatenate([block.copy() for _, block in features.blocks()]), x.T)
    np.testing.assert_array_equal(features.columns(np.array([299, 0, 7])), x.T[[299, 0, 7]])
    np.testing.assert_allclose(features.moments[MEAN], x.mean(0, dtype=np.float64))
    np.testing.assert_allclose(features.moments[SPREAD], x.std(0, dtype=np.float64))
    np.testing.assert_allclose(features.moments[NORM], np.linalg.norm(x.astype(np.float64), axis=0))


def test_float16_keeps_eleven_bits_at_any_scale(tmp_path, x):
    scale = 10.0 ** np.linspace(-12, 12, 300)
    features = in_file(tmp_path, x * scale, "float16")
    assert Path(features.values.filename).stat().st_size < 300 * 200 * 2 + 200
    stored = features.columns(np.arange(300)) * features.moments[UNIT][:, None]
    np.testing.assert_allclose(stored, (x * scale).T, rtol=2.0**-11)
    np.testing.assert_allclose(features.moments[NORM], np.linalg.norm(stored, axis=1))
    assert (np.log2(features.moments[UNIT]) % 1 == 0).all()


def test_widening_is_exact_for_every_finite_half():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    every = every[np.isfinite(every)].reshape(-1, 64)
    wide = widen(every, np.empty(every.shape, np.float32))
    np.testing.assert_array_equal(wide.view(np.uint32), every.astype(np.float32).view(np.uint32))


def test_solutions_are_the_same_from_memory_and_from_either_file(tmp_path, x, y):
    settings, Cs = SolverSettings(tolerance=1e-8), [1.0, 10.0]
    (memory,) = solve_paths(features_in_memory(x), [problem(y)], Cs, settings=settings)
    (wide,) = solve_paths(in_file(tmp_path, x), [problem(y)], Cs, settings=settings)
    (half,) = solve_paths(in_file(tmp_path, x, "float16"), [problem(y)], Cs, settings=settings)
    for a, b, c in zip(memory, wide, half, strict=True):
        assert a.neurons.tolist() == b.neurons.tolist()
        np.testing.assert_allclose(a.weights, b.weights, rtol=1e-12)
        assert a.objective == pytest.approx(b.objective, rel=1e-12)
        assert c.objective == pytest.approx(a.objective, rel=1e-3)
        assert len(set(a.neurons) ^ set(c.neurons)) <= 0.1 * len(a.neurons)


@pytest.mark.usefixtures("small_stripes")
def test_what_is_not_finite_is_named(tmp_path, x):
    x[30, 299] = np.inf
    for precision in ("float32", "float16"):
        with pytest.raises(UserError, match="neuron 299 is inf in row 30"):
            in_file(tmp_path, x, precision)


def test_a_file_that_was_cut_is_told(tmp_path, x):
    features = in_file(tmp_path, x)
    os.truncate(features.values.filename, 1000)
    with pytest.raises(UserError, match="shorter than it was"):
        features.columns(np.array([299]))


KILLED = """
import numpy as np, pathlib, sys, time
from hneuro.pipeline import stored as features
from hneuro.pipeline.stored import features_in_file
from hneuro.store import Store
features.STRIPE_BYTES = 4 * 50 * 64
def block(neurons):
    print("block", neurons.start, flush=True)
    if neurons.start >= 128 and sys.argv[2] == "stop":
        time.sleep(60)
    return np.full((neurons.stop - neurons.start, 50), neurons.start, np.float32)
made = features_in_file(Store(pathlib.Path(sys.argv[1])), {"of": "test"}, (300, 50), block)
print(*made.values[::64, 0].astype(int))
"""


def test_a_killed_run_goes_on_behind_its_last_stripe(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    child = subprocess.Popen([*command, "stop"], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert [child.stdout.readline().strip() for _ in range(3)] == ["block 0", "block 64", "block 128"]
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    again = subprocess.run([*command, "go"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert again == ["block 128", "block 192", "block 256", "0 64 128 192 256"]


RESIDENT = """
import pathlib, resource, sys
import numpy as np
from hneuro.probe.solver import problem, solve_paths
from hneuro.pipeline import stored as features
from hneuro.pipeline.stored import features_in_file
from hneuro.store import Store
features.STRIPE_BYTES = 2 << 20
rows, n = 500, int(sys.argv[2])
y = (np.arange(rows) < 150).astype(int)
def block(neurons):
    rng = np.random.default_rng(neurons.start)
    return rng.standard_normal((neurons.stop - neurons.start, rows), dtype=np.float32)
features = features_in_file(Store(pathlib.Path(sys.argv[1])), {"n": n}, (n, rows), block, sys.argv[3])
(path,) = solve_paths(features, [problem(y)], [0.02, 0.03])
assert all(s.converged for s in path) and len(path[-1].neurons) > 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_resident_memory_does_not_grow_with_the_file(tmp_path, precision):
    def peak(n: int) -> int:
        command = [sys.executable, "-c", RESIDENT, str(tmp_path), str(n), precision]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return int(subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout)

    small, large = peak(4_000), peak(84_000)
    assert large - small < 0.25 * 80_000 * 500 * 2
