"""Does scaling the H-Neurons change what the model does, and more than scaling other neurons?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.grid import NeuronSet, slots
from hneuro.neurons import HNeurons, Probe
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.known import benchmarks_of
from hneuro.pipeline.run import Run
from hneuro.pipeline.selection import mean_contribution, neuron_sets, nonzero
from hneuro.pipeline.sweeps import alpha_sweep, device_of_sweeps, measured_effects, perplexity, usual_activity
from hneuro.probe.controls import control_set, norm_change
from hneuro.result_records import FunnelStep, ResultRow


def causal(
    run: Run,
    probe: Probe,
    neurons: HNeurons,
    identified: Identified,
) -> tuple[tuple[ResultRow, ...], tuple[FunnelStep, ...]]:
    """Compliance on every benchmark, accuracy on known facts and perplexity, for every set, at every alpha.

    Nothing where it was turned off.
    """
    setup = run.experiment
    if not setup.intervention.swept:
        return (), ()
    sets = swept_sets(run, probe, neurons, identified)
    rows: list[ResultRow] = []
    with device_of_sweeps(run):
        benchmarks, framings, lost = benchmarks_of(run, identified)
        rows += framings
        for benchmark in benchmarks:
            rows += measured_effects(run.store, alpha_sweep(run, benchmark, sets))
    whole = [one for one in sets if "/" not in one.name]
    contribution = mean_contribution(run.store, identified.fit).value.astype(np.float64)
    return (*rows, *perplexity(run, whole), *_norm_changes(sets, contribution)), lost


def _norm_changes(sets: Sequence[NeuronSet], contribution: NDArray[np.float64]) -> Iterator[ResultRow]:
    """How much each set that is scaled changes h: whether controls are as loud as what they control for."""
    for one in (one for one in sets if "@" not in one.name):
        yield ResultRow(
            stage="causal",
            metric="norm_change",
            dataset="neurons",
            condition=one.name,
            value=norm_change(contribution, one.neurons),
            n=len(one.neurons),
            seed=one.seed if "/" in one.name else None,
        )


def swept_sets(run: Run, probe: Probe, neurons: HNeurons, identified: Identified) -> list[NeuronSet]:
    """The neuron sets, their variants, and their controls, of which a set that comes back is swept once."""
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
        one = slot.filled(own, tuple(values))
        again = slot.control is not None and (one.name, own) in ((there.name, there.neurons) for there in found)
        if not again and (own or slot.of != "negative"):
            found.append(one)
    return found
