"""The trials of the H-Neurons: do they detect, and do they cause?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.grid import NeuronSet, slots
from hneuro.detection.detector import Detector
from hneuro.detection.evaluate import DetectionSettings, detect, detect_by_baselines
from hneuro.detection.monitor import RiskMonitor
from hneuro.detection.rivals import Rival
from hneuro.detection.scored import AnswerSet, Scored
from hneuro.probe.controls import control_set
from hneuro.records import HNeurons, Probe
from hneuro.result_records import ResultRow, TrainedDetector
from hneuro.stage import stage
from hneuro.steps.answers import Identified
from hneuro.steps.context import Context
from hneuro.steps.known import benchmarks_of
from hneuro.steps.measured import Answers
from hneuro.steps.rivals import frequency, rivals_of
from hneuro.steps.sampling import Questions
from hneuro.steps.selection import mean_contribution, neuron_sets, nonzero
from hneuro.steps.sweeps import alpha_sweep, device_of_sweeps, measured_effects, perplexity, usual_activity
from hneuro.store import Kept


def detection(
    run: Context, probe: Probe, neurons: HNeurons, identified: Identified, held_out: Sequence[Answers]
) -> tuple[ResultRow, ...]:
    setup, store = run.experiment, run.store
    fit, select = identified.fit, identified.select
    tested_on = [a for a in held_out if a.two_sided or (a.made_up and a.labelled)]
    counts = [frequency(run, answers) for answers in tested_on]
    tested = Tested(
        fit=fit, select=select, sets=tested_on, counts=counts, rivals=rivals_of(run, fit, select, tested_on)
    )
    contribution, sets = mean_contribution(store, fit), neuron_sets(run, neurons, fit)
    own = detected(store, probe, sets, contribution, tested, setup.detection, setup.seed)
    return (*own.value, *baselines(store, tested).value)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What detectors are trained, thresholded and tested on, and what they are set beside."""

    fit: Answers
    select: Answers
    sets: Sequence[Answers]
    counts: Sequence[NDArray[np.float64]]  # [row] of each set
    rivals: Kept[tuple[Rival, ...]]

    def parts(self) -> tuple[AnswerSet, AnswerSet, Sequence[AnswerSet]]:
        sets = [replace(a.answer_set(), frequency=own) for a, own in zip(self.sets, self.counts, strict=True)]
        return self.fit.answer_set(), self.select.answer_set(), sets

    def others(self) -> list[Scored]:
        return [rival.scored() for rival in self.rivals.value]


@stage(ResultRow, version=1, name="detection")
def detected(
    probe: Probe,
    neuron_sets: Mapping[str, Sequence[int]],
    contribution: Kept[NDArray[np.float32]],
    tested: Tested,
    settings: DetectionSettings,
    seed: int,
) -> Sequence[ResultRow]:
    mean = contribution.value.astype(np.float64)
    return detect(probe, neuron_sets, mean, *tested.parts(), settings, seed, tested.others())


@stage(ResultRow, version=1)
def baselines(tested: Tested) -> Sequence[ResultRow]:
    """By themselves, because every cell of a sweep over probes has the same."""
    return detect_by_baselines(*tested.parts(), tested.others())


def causal(
    run: Context,
    probe: Probe,
    neurons: HNeurons,
    trained: TrainedDetector,
    identified: Identified,
    parts: Mapping[str, Questions],
) -> tuple[ResultRow, ...]:
    """Compliance on every benchmark, accuracy on known facts and perplexity, for every set, at every alpha.

    Nothing where it was turned off.
    """
    setup = run.experiment
    if not setup.intervention.swept:
        return ()
    sets = swept_sets(run, probe, neurons, identified)
    monitor = RiskMonitor(Detector.of(trained)) if "risky" in setup.intervention.variants else None
    rows: list[ResultRow] = []
    with device_of_sweeps(run):
        benchmarks, told = benchmarks_of(run, identified, parts)
        rows += told
        for benchmark in benchmarks:
            rows += measured_effects(run.store, alpha_sweep(run, benchmark, sets, monitor))
    whole = [one for one in sets if "/" not in one.name and one.scope == "all"]
    return (*rows, *perplexity(run, whole))


def swept_sets(run: Context, probe: Probe, neurons: HNeurons, identified: Identified) -> list[NeuronSet]:
    """The neuron sets, their variants, and as many random and layer-matched neurons in their place."""
    setup = run.experiment
    contribution = mean_contribution(run.store, identified.fit).value.astype(np.float64)
    known = neuron_sets(run, neurons, identified.fit) | {"negative": tuple(np.flatnonzero(probe.weight < 0).tolist())}
    found: list[NeuronSet] = []
    for slot in slots(setup.intervention):
        chosen, values = known[slot.of], list[float]()
        own = tuple(sorted(chosen))
        if slot.control is not None:
            exclude = nonzero(probe) | set(chosen)
            draw = setup.seed * 1000 + slot.seed
            own = control_set(slot.control, probe.space, chosen, exclude, contribution, draw)
        elif slot.variant == "mean":
            values = usual_activity(run, identified.fit, own).tolist()
        if own or slot.of != "negative":
            found.append(slot.filled(own, tuple(values)))
    return found
