"""How the answers of a sweep are read, and when they are read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lab_parts import YesNo
from sweeping import answer_to

from hneuro.causal.conversation import SweepRow
from hneuro.causal.grid import NeuronSet
from hneuro.pipeline import sweeps
from hneuro.records import BenchmarkItem, Outcome, SweepAnswer
from hneuro.store import Store


class Derailing:
    """At alpha 3 it says its word over and over."""

    def answers(self, rows: Sequence[SweepRow], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        return tuple(answer_to(row, "yes " * (40 if row[1].alpha == 3.0 else 1)) for row in rows)


def test_derailed_answers_are_unparsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "_sweeper", lambda *_: (Derailing(), {}))
    monkeypatch.setattr(sweeps, "check_parts", lambda _: None)
    settings = SimpleNamespace(items=None, rows_per_shard=8, engine="transformers")
    sets = [NeuronSet(name="h_neurons", seed=0, neurons=(1,), alphas=(1.0, 3.0))]

    def swept() -> tuple[list[tuple[float, Outcome]], list[str]]:
        run: Any = SimpleNamespace(store=Store(tmp_path), experiment=SimpleNamespace(intervention=settings, seed=0))
        found = sweeps.alpha_sweep(run, YesNo(), sets)
        read = zip(found.answers.value, found.readings.value, strict=True)
        return [(answer.alpha, reading.outcome) for answer, reading in read], run.store.tally.computed

    read, computed = swept()
    assert {alpha for alpha, outcome in read if outcome is Outcome.UNPARSED} == {3.0}
    assert {outcome for alpha, outcome in read if alpha == 3.0} == {Outcome.UNPARSED}
    assert computed == ["sweep-yes_no", "readings-yes_no"]
    assert swept() == (read, [])


def test_the_parts_of_a_benchmark_are_told_by_its_items() -> None:
    """Only where there are several."""

    def item(name: str, **meta: str) -> BenchmarkItem:
        return BenchmarkItem(id=name, benchmark="b", messages=(), comply=(), resist=(), meta=meta)

    items = [item("1", dataset="trivia_qa", framing="wrote"), item("2", dataset="trivia_qa", framing="likes")]
    assert sweeps.strata(items) == {"1": ("wrote",), "2": ("likes",)}
    assert sweeps.strata(items[:1]) == {}
    assert sweeps.strata([item("1", policy="a"), item("2", policy="b", variant="x")]) == {"1": ("a",), "2": ("b",)}
