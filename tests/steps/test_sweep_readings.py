"""How the answers of a sweep are read, and when they are read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from lab_parts import YesNo
from sweeping import answer_to

from hneuro.causal.benchmarks.base import Answer, Measure
from hneuro.causal.beside import BESIDE
from hneuro.causal.conversation import Row
from hneuro.causal.grid import NeuronSet
from hneuro.records import BenchmarkItem, Outcome, Reading, SweepAnswer
from hneuro.responses.decoding import Decoding
from hneuro.steps import sweeps
from hneuro.store import Store


class Derailing:
    """At alpha 3 it says its word over and over."""

    def answers(self, rows: Sequence[Row], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        return tuple(answer_to(row, "yes " * (40 if row[1].alpha == 3.0 else 1)) for row in rows)


def test_derailed_answers_are_unparsed_and_another_rule_reads_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    monkeypatch.setattr(sweeps, "RULE", {"most": 1.0})
    assert swept()[1] == ["readings-yes_no"]


@dataclass(frozen=True)
class Twins:
    """Prompts that are read beside a plain one, and what they were read with."""

    name: ClassVar[str] = "twins"
    decoding: ClassVar[Decoding] = Decoding(temperature=0.0)
    measures: ClassVar[Measure] = "compliance"
    read: ClassVar[list[tuple[str, tuple[str, ...]]]] = []

    def items(self) -> tuple[BenchmarkItem, ...]:
        one = BenchmarkItem(id="plain", benchmark="twins", messages=(), comply=(), resist=())
        return one, *(replace(one, id=f"f{n}", meta={BESIDE: "plain"}) for n in range(9))

    def readings(self, answers: Sequence[Answer]) -> Sequence[Reading]:
        self.read.extend((item.id, replies) for item, replies in answers)
        return [Reading(outcome=Outcome.RESISTS)] * len(answers)


class Naming:
    """It says which prompt was answered at which alpha."""

    def answers(self, rows: Sequence[Row], openings: Mapping[str, str]) -> tuple[SweepAnswer, ...]:
        return tuple(replace(a, replies=(f"{a.item_id} {a.alpha}",)) for a in Derailing().answers(rows, openings))


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_what_is_read_beside_another_is_of_the_same_alpha_whatever_shard_it_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    monkeypatch.setattr(sweeps, "_sweeper", lambda *_: (Naming(), {}))
    monkeypatch.setattr(sweeps, "check_parts", lambda _: None)
    monkeypatch.setattr(sweeps, "READINGS_PER_SHARD", 4)
    settings = SimpleNamespace(items=5, rows_per_shard=3, engine=engine)
    sets = [NeuronSet(name="h_neurons", seed=0, neurons=(1,), alphas=(1.0, 3.0))]
    run: Any = SimpleNamespace(store=Store(tmp_path), experiment=SimpleNamespace(intervention=settings, seed=0))
    Twins.read.clear()
    found = sweeps.alpha_sweep(run, Twins(), sets)
    assert len(found.readings.value) == 12
    assert found.items[0].id == "plain"
    expected = [
        (item.id, (*[f"plain {alpha}"] * (item.id != "plain"), f"{item.id} {alpha}"))
        for item in found.items
        for alpha in (1.0, 3.0)
    ]
    assert Twins.read == expected
