"""Prompts that are read beside another: which are chosen together, and which replies are read."""

from __future__ import annotations

from random import Random

import pytest

from hneuro.causal.beside import BESIDE, chosen_items, replies_read
from hneuro.records import BenchmarkItem, SweepAnswer


def item(name: str, beside: str = "") -> BenchmarkItem:
    meta = {BESIDE: beside} if beside else {}
    return BenchmarkItem(id=name, benchmark="b", messages=(), comply=(), resist=(), meta=meta)


def answer(name: str, reply: str, neuron_set: str = "h_neurons", seed: int = 0, alpha: float = 0.0) -> SweepAnswer:
    return SweepAnswer(
        item_id=name, neuron_set=neuron_set, seed=seed, alpha=alpha, replies=(reply,), p_comply=None, truncated=False
    )


ITEMS = [one for n in range(20) for one in (item(f"plain{n}"), item(f"a{n}", f"plain{n}"), item(f"b{n}", f"plain{n}"))]


@pytest.mark.parametrize("count", [1, 5, 30])
def test_what_is_chosen_comes_with_what_it_is_read_beside(count: int) -> None:
    chosen = chosen_items(ITEMS, count)
    ids = [one.id for one in chosen]
    framed = [one for one in chosen if BESIDE in one.meta]
    assert len(framed) == count
    assert {one.meta[BESIDE] for one in framed} == set(ids) - {one.id for one in framed}
    assert ids == [one.id for one in ITEMS if one.id in ids]
    assert chosen == chosen_items(ITEMS, count)


def test_alone_they_are_chosen_as_ever() -> None:
    """Answers are kept under the prompts that were chosen."""
    alone = [item(str(n)) for n in range(50)]
    assert chosen_items(alone, 7) == tuple(alone[n] for n in sorted(Random(0).sample(range(50), 7)))
    assert chosen_items(alone, None) == chosen_items(alone, 50) == tuple(alone)
    assert chosen_items(ITEMS, 40) == tuple(ITEMS)


def test_the_reply_beside_is_of_the_same_treatment() -> None:
    cells = [("h_neurons", 0, 0.0), ("h_neurons", 0, 3.0), ("h_neurons/random", 0, 3.0), ("h_neurons/random", 1, 3.0)]
    answers = [answer(name, f"{name} {cell}", *cell) for name in ("plain0", "a0") for cell in cells]
    read = replies_read(ITEMS[:2], answers)
    for cell in cells:
        assert read(answer("a0", f"a0 {cell}", *cell)) == (f"plain0 {cell}", f"a0 {cell}")
        assert read(answer("plain0", f"plain0 {cell}", *cell)) == (f"plain0 {cell}",)
