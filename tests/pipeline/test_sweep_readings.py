"""How the answers of a sweep are read, and when they are read again."""

from __future__ import annotations

from hneuro.pipeline import sweeps
from hneuro.records import BenchmarkItem


def test_the_parts_of_a_benchmark_are_told_by_its_items() -> None:
    """Only where there are several."""

    def item(name: str, **meta: str) -> BenchmarkItem:
        return BenchmarkItem(id=name, benchmark="b", messages=(), comply=(), resist=(), meta=meta)

    items = [item("1", dataset="trivia_qa", framing="wrote"), item("2", dataset="trivia_qa", framing="likes")]
    assert sweeps.strata(items) == {"1": ("wrote",), "2": ("likes",)}
    assert sweeps.strata(items[:1]) == {}
    assert sweeps.strata([item("1", policy="a"), item("2", policy="b", variant="x")]) == {"1": ("a",), "2": ("b",)}
