"""When do the neurons appear? Backward transfer and drift at checkpoints on the way to the base model.

Every checkpoint reads the SAME texts: the finished base model's held-out answers, after its completion prompts, with
the verdicts that they were given. Early checkpoints cannot answer, so that sets of their own answers would be almost
all wrong, of other questions each, and would have to be sampled; and no checkpoint of pre-training knows the chat
template. So rows and labels are equal at all moments and AUROCs are paired, and what is asked is: could these neurons
already tell, then, which of these answers are wrong? Not: did that model hallucinate?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import Classifier
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import NeuronSpace, Probe
from hneuro.origin.transfer import backward_transfer
from hneuro.result_records import ResultRow
from hneuro.statistics import auroc_difference


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


def transfer_at(
    moment: str, readers: Readers, then: Sequence[AnswerSet], on_base: Sequence[NDArray[np.float64]]
) -> Iterator[ResultRow]:
    """AUROCs at a checkpoint, and the H-Neurons' minus what it is on the base model.

    `then`: rows of `readers.neurons` only; `on_base`: the scores [row] that the H-Neurons' detector gives the same rows
    on the base model.
    """
    few = readers.on_neurons()
    yield from at(moment, backward_transfer(few.probe, few.detector, few.controls, then))
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
