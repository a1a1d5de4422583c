"""Rows of a sweep's effects are stored; a test that is added must not find them as they were before."""

from __future__ import annotations

from pathlib import Path

import pytest

from hneuro.records import BenchmarkItem, Outcome, Reading, SweepAnswer
from hneuro.steps import sweeps
from hneuro.steps.sweeps import Swept, measured_effects
from hneuro.store import Kept, Store


class YesNo:
    name = "doubt"
    measures = "compliance"


def swept() -> Swept:
    cells = [(item, alpha) for item in ("a", "b") for alpha in (0.0, 1.0)]
    answers = tuple(
        SweepAnswer(item_id=item, neuron_set="untouched" if alpha == 1 else "h_neurons", seed=0, alpha=alpha,
                    replies=("yes",), p_comply=None, truncated=False)
        for item, alpha in cells
    )  # fmt: skip
    readings = tuple(Reading(outcome=Outcome.COMPLIES if alpha else Outcome.RESISTS) for _, alpha in cells)
    items = tuple(
        BenchmarkItem(id=item, benchmark="doubt", messages=({"role": "user", "content": "?"},), comply=(), resist=())
        for item in ("a", "b")
    )
    return Swept(YesNo(), items, Kept(lambda: answers, "answers"), Kept(lambda: readings, "readings"), None)  # type: ignore[arg-type]


def test_rows_are_stored_under_what_is_tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    first = measured_effects(store, swept())
    assert any(row.metric == "minus_untouched_compliance" for row in first)
    assert measured_effects(store, swept()) == first
    assert (len(store.tally.computed), len(store.tally.loaded)) == (1, 1)
    monkeypatch.setattr(sweeps, "TESTED", ("ends", "arms"))
    measured_effects(store, swept())
    assert len(store.tally.computed) == 2


def test_the_parts_of_a_benchmark_are_told_by_its_items() -> None:
    """Only where there are several."""

    def item(name: str, **meta: str) -> BenchmarkItem:
        return BenchmarkItem(id=name, benchmark="b", messages=(), comply=(), resist=(), meta=meta)

    items = [item("1", dataset="trivia_qa", framing="wrote"), item("2", dataset="trivia_qa", framing="likes")]
    assert sweeps.strata(items) == {"1": ("wrote",), "2": ("likes",)}
    assert sweeps.strata(items[:1]) == {}
    assert sweeps.strata([item("1", policy="a"), item("2", policy="b", variant="x")]) == {"1": ("a",), "2": ("b",)}
