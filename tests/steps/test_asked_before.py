"""A sweep asks what no sweep before it has asked, and comes to the same answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lab_parts import YesNo
from sweeping import answer_to

from hneuro.causal.conversation import Row
from hneuro.causal.grid import NeuronSet
from hneuro.records import SweepAnswer
from hneuro.steps import sweeps
from hneuro.store import Store


class Counting:
    """Says which neurons were scaled by what, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, float]] = []

    def answers(self, rows: Sequence[Row], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        self.asked += [(cell.neuron_set, cell.alpha) for _, cell in rows]
        return tuple(
            answer_to((item, cell), f"yes {item.id} {cell.treatment.neurons} {cell.alpha}") for item, cell in rows
        )


class Bench:
    """Sweeps in one store, by a model of a precision and with a seed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: str = "float32") -> None:
        self.folder, self.dtype, self.engine = folder, dtype, Counting()
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(sweeps, "check_parts", lambda _: None)

    def sweep(self, *sets: NeuronSet, seed: int = 0, store: str = "store") -> tuple[SweepAnswer, ...]:
        self.monkeypatch.setattr(sweeps, "_sweeper", lambda *_: (self.engine, {"model": {"dtype": self.dtype}}))
        self.engine.asked = []
        settings = SimpleNamespace(items=None, rows_per_shard=8, engine="transformers")
        experiment = SimpleNamespace(intervention=settings, seed=seed)
        run: Any = SimpleNamespace(store=Store(self.folder / store), experiment=experiment)
        return sweeps.alpha_sweep(run, YesNo(), sets).answers.value


def neurons(name: str, ids: tuple[int, ...], *alphas: float, seed: int = 0) -> NeuronSet:
    return NeuronSet(name=name, seed=seed, neurons=ids, alphas=alphas)


def test_another_alpha_costs_its_own_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch)
    bench.sweep(neurons("h_neurons", (1,), 1.0, 3.0))
    wider = neurons("h_neurons", (1,), 0.0, 1.0, 3.0)
    found = bench.sweep(wider)
    assert set(bench.engine.asked) == {("h_neurons", 0.0)}
    assert found == bench.sweep(wider, store="fresh")
    assert set(bench.engine.asked) == {("untouched", 1.0), ("h_neurons", 0.0), ("h_neurons", 3.0)}


def test_the_same_neurons_under_another_name_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, monkeypatch)
    bench.sweep(neurons("h_neurons/random", (4,), 0.0, 1.0, seed=3))
    found = bench.sweep(neurons("h_neurons", (4,), 0.0, 1.0), neurons("ranked", (5,), 0.0))
    assert set(bench.engine.asked) == {("ranked", 0.0)}
    assert {(a.neuron_set, a.seed) for a in found} == {("untouched", 0), ("h_neurons", 0), ("ranked", 0)}


@pytest.mark.parametrize("wrong", ["seed", "dtype"])
def test_what_depends_on_something_else_is_asked(wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In half precision an answer depends on its batch, so that the store must not decide which one it is."""
    bench = Bench(tmp_path, monkeypatch, dtype="bfloat16" if wrong == "dtype" else "float32")
    bench.sweep(neurons("h_neurons", (1,), 0.0, 1.0))
    bench.sweep(neurons("h_neurons", (1,), 0.0, 1.0, 3.0), seed=int(wrong == "seed"))
    assert {alpha for _, alpha in bench.engine.asked} == {0.0, 1.0, 3.0}
