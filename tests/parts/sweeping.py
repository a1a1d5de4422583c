"""Answers of engines that are none."""

from __future__ import annotations

from hneuro.causal.conversation import SweepRow
from hneuro.records import SweepAnswer


def answer_to(row: SweepRow, reply: str) -> SweepAnswer:
    item, cell = row
    return SweepAnswer(
        item_id=item.id,
        neuron_set=cell.neuron_set,
        seed=cell.seed,
        alpha=cell.alpha,
        replies=(reply,),
        p_comply=None,
        truncated=False,
    )
