"""Answers that another grid has asked for already: one more alpha, or another probe, costs its own rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from hneuro.causal.conversation import Row
from hneuro.causal.grid import Cell
from hneuro.codec import from_plain, to_plain
from hneuro.models.edits import UNTOUCHED, Treatment
from hneuro.records import SweepAnswer
from hneuro.store import Store

Known = Mapping[tuple[str, Treatment], SweepAnswer]  # by item and what was done to the model


def asked_before(store: Store, stage: str, reads: Mapping[str, Any]) -> Callable[[Row], SweepAnswer | None]:
    """Looks a row up among the finished sweeps that read the same but for the grid; they are opened when first asked.

    Nothing is known where numbers are less than float32: there an answer depends on the rows that shared its batch, and
    what a key stands for must not depend on what else the store holds. Nor is anything known where another engine
    answers, whose model is read without a precision.
    """
    exact = dict(reads.get("model", {})).get("dtype") == "float32"

    @cache
    def known() -> Known:
        return _known(store, stage, reads) if exact else {}

    def look_up(row: Row) -> SweepAnswer | None:
        item, cell = row
        found = known().get((item.id, cell.treatment))
        return found and replace(found, neuron_set=cell.neuron_set, seed=cell.seed)

    return look_up


def _known(store: Store, stage: str, reads: Mapping[str, Any]) -> Known:
    found: dict[tuple[str, Treatment], SweepAnswer] = {}
    wanted = {cell.treatment for cell in reads["cells"]}
    for manifest in sorted((store.root / stage).glob("*/manifest.json")):
        theirs = json.loads(manifest.read_text(encoding="utf-8"))["reads"]
        grid = from_plain(tuple[Cell, ...], theirs["cells"])
        alike = to_plain(reads["monitor"]) == theirs["monitor"]
        treatment = {
            (cell.neuron_set, cell.seed, cell.alpha): cell.treatment
            for cell in grid
            if cell.treatment in wanted and (alike or cell.treatment.scope != "risky")
        }
        if set(treatment.values()) <= {UNTOUCHED}:  # not worth reading: a sweep of many probes has many of these
            continue
        same = {**reads, "cells": grid, "monitor": theirs["monitor"]}
        if store.place(stage, same) != manifest.parent:  # another model, other prompts, or another version
            continue
        for answer in store.records(stage, SweepAnswer, same, [], lambda _: ()).value:
            if (key := (answer.neuron_set, answer.seed, answer.alpha)) in treatment:
                found[answer.item_id, treatment[key]] = answer
    return found
