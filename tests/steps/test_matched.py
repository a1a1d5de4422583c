"""The comparison at the same reduction, from the stored answers of a run's sweeps."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from hneuro.causal.grid import UNTOUCHED
from hneuro.records import BenchmarkItem, Outcome, Reading, SweepAnswer
from hneuro.steps.matched import at_the_same_reduction
from hneuro.steps.sweeps import Swept
from hneuro.store import Kept, Store

CELLS = {("h_neurons", 0.0): 10, (UNTOUCHED, 1.0): 30, ("h_neurons@risky", 0.0): 20, ("h_neurons/random", 0.0): 30}


def swept(name: str, measures: str) -> Swept:
    """Of 40 prompts so many comply in a cell."""
    items = tuple(BenchmarkItem(id=str(n), benchmark=name, messages=(), comply=(), resist=()) for n in range(40))
    cells = [(item.id, n, cell) for n, item in enumerate(items) for cell in CELLS]
    answers = tuple(
        SweepAnswer(
            item_id=item, neuron_set=neuron_set, seed=0, alpha=alpha, replies=("",), p_comply=None, truncated=False
        )
        for item, _, (neuron_set, alpha) in cells
    )
    readings = tuple(Reading(outcome=Outcome.COMPLIES if n < CELLS[cell] else Outcome.RESISTS) for _, n, cell in cells)
    benchmark = SimpleNamespace(name=name, measures=measures)
    return Swept(benchmark, items, Kept(lambda: answers, name), Kept(lambda: readings, name), None)  # type: ignore[arg-type]


def test_each_variant_is_compared_on_each_benchmark_with_each_cost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    every = [swept("doubt", "compliance"), swept("forbidden", "compliance"), swept("known_facts", "accuracy")]
    rows = at_the_same_reduction(store, every)
    names = {"reduction": 0.25, "alpha": 0.5, "largest": 0.5, "accuracy": 0.0}
    assert [(r.dataset, r.condition, r.metric, r.value) for r in rows] == [
        (benchmark, "h_neurons@risky", f"matched_{name}", value)
        for benchmark in ("doubt", "forbidden")
        for name, value in names.items()
    ]
    assert at_the_same_reduction(store, every) == rows
    assert (len(store.tally.computed), len(store.tally.loaded)) == (1, 1)


def test_without_costs_the_reductions_remain(tmp_path: Path) -> None:
    rows = at_the_same_reduction(Store(tmp_path), [swept("doubt", "compliance")])
    assert [row.metric for row in rows] == ["matched_reduction", "matched_alpha", "matched_largest"]
