"""Backward transfer: the chat model's classifiers, unchanged, on the base model's answers (paper, section 4.1).

And at checkpoints on the way to the base model: when do the neurons appear? Every checkpoint reads the SAME texts: the
finished base model's held-out answers, after its completion prompts, with the verdicts that they were given. Early
checkpoints cannot answer, so that sets of their own answers would be almost all wrong, of other questions each, and
would have to be sampled; and no checkpoint of pre-training knows the chat template. So rows and labels are equal at all
moments and AUROCs are paired, and what is asked is: could these neurons already tell, then, which of these answers are
wrong? Not: did that model hallucinate?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import Classifier
from hneuro.detection.nulls import spread
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import HNeurons, NeuronSpace, Probe
from hneuro.probe.stability import overlap
from hneuro.result_records import Estimate, ResultRow
from hneuro.significance import share_at_least
from hneuro.statistics import auroc, auroc_difference, auroc_in_closed_form


@dataclass(frozen=True, kw_only=True)
class Readers:
    """What reads the answers at every moment: the chat model's probe, its H-Neurons' detector, random neurons'."""

    probe: Probe
    detector: Classifier
    controls: tuple[Classifier, ...]

    @property
    def neurons(self) -> tuple[int, ...]:
        """Every neuron that any of them reads, ascending: nothing else is kept of a checkpoint."""
        used = set(np.flatnonzero(self.probe.weight).tolist())
        return tuple(sorted(used.union(*(reader.columns for reader in (self.detector, *self.controls)))))

    def on_neurons(self) -> Readers:
        """The same readers for rows that hold `neurons` only, in their order."""
        place = {neuron: n for n, neuron in enumerate(self.neurons)}

        def moved(detector: Classifier) -> Classifier:
            return replace(detector, columns=tuple(place[neuron] for neuron in detector.columns))

        weight = self.probe.weight[list(self.neurons)]
        space = NeuronSpace(n_layers=1, width=len(weight))
        return Readers(
            probe=replace(self.probe, weight=weight, space=space),
            detector=moved(self.detector),
            controls=tuple(moved(control) for control in self.controls),
        )


def backward_transfer(readers: Readers, sets: Sequence[AnswerSet], own: Probe | None = None) -> tuple[ResultRow, ...]:
    """AUROC on the base model's answer rows, which needs no threshold: ranks may transfer where thresholds do not.

    `own`: a probe that the same selection made of the base model's own answers, as what could be had there; what the
    transferred ones lack is paired with it on the same rows.
    """
    return tuple(row for tested in sets for row in _rows(readers, tested, own))


def _rows(readers: Readers, tested: AnswerSet, own: Probe | None) -> Iterator[ResultRow]:
    y, groups, rows = tested.rows.y, tested.rows.groups, tested.rows
    null = [auroc_in_closed_form(y, control.scores_of(rows), groups).value for control in readers.controls]
    scores = {"h_neurons": readers.detector.scores_of(rows), "probe": readers.probe.scores(rows)}
    found = auroc(y, scores["h_neurons"], groups)
    estimates: dict[str, tuple[Estimate, float | None]] = {
        "h_neurons": (found, share_at_least(found.value, null) if null else None),
        "probe": (auroc(y, scores["probe"], groups), None),
        "h_neurons/random": (spread(np.array(null)), None),
    }
    if own is not None:
        estimates["base_probe"] = (auroc(y, own.scores(rows), groups), None)
    for condition, (estimate, p) in estimates.items():
        yield ResultRow.of(
            estimate,
            stage="origin",
            metric="auroc",
            dataset=tested.name,
            condition=condition,
            p_value=p,
        )
    if own is not None:
        for condition, transferred in scores.items():
            difference, p = auroc_difference(y, transferred, own.scores(rows), groups)
            yield ResultRow.of(
                difference,
                stage="origin",
                metric="auroc_minus_base_probe",
                dataset=tested.name,
                condition=condition,
                p_value=p,
            )


def shared_neurons(neurons: HNeurons, own: Probe) -> ResultRow:
    """How many H-Neurons the base model's own probe selects too; p that as many drawn at random share so many."""
    found = overlap("models", {"chat": neurons.neurons, "base": own.positive}, neurons.space.size)
    count, others = (int(size) for size in found.sizes)
    return ResultRow(
        stage="origin",
        metric="shared_neurons",
        dataset="neurons",
        condition="base_probe",
        value=found.shared,
        n=count,
        p_value=found.p_value,
        note=f"of {count} H-Neurons and {others} that the base model's own probe selects; "
        f"{count * others / neurons.space.size:.2f} would be shared by chance",
    )


def transfer_at(
    moment: str, readers: Readers, then: Sequence[AnswerSet], on_base: Sequence[NDArray[np.float64]]
) -> Iterator[ResultRow]:
    """AUROCs at a checkpoint, and the H-Neurons' minus what it is on the base model.

    `then`: rows of `readers.neurons` only; `on_base`: the scores [row] that the H-Neurons' detector gives the same rows
    on the base model.
    """
    few = readers.on_neurons()
    yield from at(moment, backward_transfer(few, then))
    for tested, finished in zip(then, on_base, strict=True):
        scores = few.detector.scores_of(tested.rows)
        difference, p = auroc_difference(tested.rows.y, scores, finished, tested.rows.groups)
        row = ResultRow.of(
            difference,
            stage="origin",
            metric="auroc_minus_base",
            dataset=tested.name,
            condition="h_neurons",
            p_value=p,
        )
        yield from at(moment, [row])


def at(moment: str, rows: Sequence[ResultRow]) -> Iterator[ResultRow]:
    """Rows of the origin as those of a checkpoint."""
    return (replace(row, stage="moments", stratum=moment) for row in rows)
