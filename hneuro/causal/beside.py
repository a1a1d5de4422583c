"""Prompts that are read beside another one: what a user's word changes shows only next to the same prompt without it.

The other one is an item of the same benchmark, named in the meta of those that are read beside it. Both are answered
under the same treatment, so that what the treatment alone changes is not taken for the effect of the word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random

from hneuro.records import BenchmarkItem, SweepAnswer

BESIDE = "beside"  # key of meta: the id of the item that this one is read beside


def replies_read(
    items: Sequence[BenchmarkItem], answers: Iterable[SweepAnswer]
) -> Callable[[SweepAnswer], tuple[str, ...]]:
    """What is read of an answer: its replies, after the last one to the item beside it, where there is one."""
    beside = {item.id: str(item.meta[BESIDE]) for item in items if BESIDE in item.meta}
    others = set(beside.values())
    last = {_cell(a, a.item_id): a.replies[-1] for a in answers if a.item_id in others} if others else {}

    def read(answer: SweepAnswer) -> tuple[str, ...]:
        if answer.item_id not in beside:
            return answer.replies
        return (last[_cell(answer, beside[answer.item_id])], *answer.replies)

    return read


def chosen_items(items: Sequence[BenchmarkItem], count: int | None) -> tuple[BenchmarkItem, ...]:
    """A random part of the prompts, always the same, in their order: files are often sorted by topic.

    Those that others are read beside come with these, and are not counted.
    """
    beside = {item.meta.get(BESIDE) for item in items}
    counted = [item for item in items if item.id not in beside]
    if count is None or len(counted) <= count:
        return tuple(items)
    kept = [counted[n] for n in Random(0).sample(range(len(counted)), count)]
    ids = {item.id for item in kept} | {item.meta.get(BESIDE) for item in kept}
    return tuple(item for item in items if item.id in ids)


def _cell(answer: SweepAnswer, item: str) -> tuple[str, str, int, float]:
    return item, answer.neuron_set, answer.seed, answer.alpha
