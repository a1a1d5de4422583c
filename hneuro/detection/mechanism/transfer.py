"""Are the neurons that one data set finds those of another, and do they work there?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.mechanism.signals import absent, row_of
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import HNeurons, Probe, ProbeRows
from hneuro.probe.selectors import Penalised, Ranking, Selector
from hneuro.probe.stability import overlap
from hneuro.result_records import ResultRow
from hneuro.statistics import auroc

PROBE = "probe"  # the condition of all rows here; `stratum` names the set that it was found on


def transfer_rows(
    sets: Sequence[AnswerSet],
    sources: Mapping[str, ProbeRows],
    selector: Selector,
    neurons: HNeurons,
    strength: float,
    min_per_class: int,
    seed: int,
) -> Iterator[ResultRow]:
    """A probe of every source at the chosen strength, its AUROC on every set, and what its neurons share with others.

    Entities are parted into two halves, the same for all sets: a probe is trained on the rows of the first half and
    tested on those of the second, of its own set as of the others. It is trained on the rows that detectors read, and
    not on what the run's labeling adds to them. A set that is too small, and a
    probe that selects nothing, are absent with their reason. Overlaps are tested against as many neurons
    drawn at random (hypergeometric, exact); the H-Neurons of the run are among the sets.
    """
    first = first_half([s.rows.groups for s in sets], seed)
    found: dict[str, Probe] = {}
    for name, rows in sources.items():
        made = _probe(rows, first, selector, strength, min_per_class, seed)
        if isinstance(made, str):
            yield absent("neurons", name, PROBE, made)
            continue  # its row says why
        found[name], n = made
        count = len(found[name].positive)
        yield ResultRow(stage="mechanism", metric="neurons", dataset=name, condition=PROBE, value=count, n=n)
    for tested in sets:
        rest = ~np.isin(tested.rows.groups, list(first))
        y, groups = tested.rows.y[rest], tested.rows.groups[rest]
        small = _small(y, min_per_class)
        for name, probe in found.items():
            if small:
                yield replace(absent("transfer_auroc", tested.name, PROBE, small), stratum=name)
            else:
                area = auroc(y, probe.scores(tested.rows)[rest], groups)
                yield replace(row_of(area, "transfer_auroc", tested.name, PROBE), stratum=name)
    selected = {"h_neurons": neurons.neurons, **{name: probe.positive for name, probe in found.items()}}
    for one, other in combinations(selected, 2):
        shared = overlap("data sets", {one: selected[one], other: selected[other]}, neurons.space.size)
        sizes = " and ".join(str(len(selected[name])) for name in (one, other))
        yield ResultRow(
            stage="mechanism", metric="jaccard", dataset=one, condition=PROBE, stratum=other, value=shared.jaccard,
            p_value=shared.p_value, n=int(shared.shared), note=f"{sizes} neurons",
        )  # fmt: skip


def first_half(groups: Sequence[NDArray[np.str_]], seed: int) -> set[str]:
    """Half of all entities, drawn once for all sets."""
    entities = sorted({str(entity) for part in groups for entity in part})
    np.random.default_rng(seed).shuffle(entities)
    return set(entities[: len(entities) // 2])


def at_strength(selector: Selector, strength: float) -> Selector:
    """The same selection without the rest of its path, where that is known to make no difference."""
    if isinstance(selector, Penalised):
        return replace(selector, C=(strength,))
    if isinstance(selector, Ranking):
        return replace(selector, counts=(int(strength),))
    return selector


def _probe(
    rows: ProbeRows, first: set[str], selector: Selector, strength: float, min_per_class: int, seed: int
) -> tuple[Probe, int] | str:
    """The probe on the rows of the first half and their number, or why there is none."""
    half = rows.at(np.flatnonzero(np.isin(rows.groups, list(first))))
    if reason := _small(half.y, min_per_class):
        return reason
    probe = next(p for p in at_strength(selector, strength).path(half, seed) if p.strength == strength)
    return (probe, len(half.y)) if probe.weight.any() else "at the chosen strength its probe selects no neuron"


def _small(y: NDArray[np.int8], needed: int) -> str:
    wrong, right = int((y == 1).sum()), int((y == 0).sum())
    if min(wrong, right) >= needed:
        return ""
    return (
        f"half of its entities have {wrong} hallucinated and {right} faithful answers, and {needed} of each are needed"
    )
