"""The trials of the H-Neurons: do they detect, and do they cause?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.grid import NeuronSet
from hneuro.detection.evaluate import (
    INTERVALS,
    MEASURES,
    detect,
    detect_by_baselines,
    neuron_detector,
)
from hneuro.detection.monitor import RiskMonitor
from hneuro.detection.scored import AnswerSet, Scored
from hneuro.neurons import HNeurons, Probe
from hneuro.probe.controls import control_set, norm_change
from hneuro.result_records import ResultRow
from hneuro.statistics import BOUNDARY
from hneuro.steps.answers import Identified
from hneuro.steps.context import Context
from hneuro.steps.known import benchmarks_of
from hneuro.steps.measured import Answers
from hneuro.steps.rivals import frequency, rivals_of
from hneuro.steps.sampling import Questions
from hneuro.steps.selection import mean_contribution, neuron_sets, nonzero
from hneuro.steps.sweeps import alpha_sweep, device_of_sweeps, measured_effects, perplexity, usual_activity
from hneuro.store import fingerprint


def detection(
    run: Context, probe: Probe, neurons: HNeurons, identified: Identified, held_out: Sequence[Answers]
) -> tuple[ResultRow, ...]:
    setup = run.experiment
    fit, select = identified.fit, identified.select
    sets = neuron_sets(run, neurons, fit)
    tested_on = [a for a in held_out if a.two_sided or (a.made_up and a.labelled)]
    beside = rivals_of(run, fit, select, tested_on)
    counts = [frequency(run, answers) for answers in tested_on]
    answers = {
        "answers": [(a.name, a.digest, fingerprint(a.labelled)) for a in (fit, select, *held_out)],
        "settings": setup.detection,
        "measures": [*MEASURES, INTERVALS, BOUNDARY],
        "rivals": beside.digest,
        "counts": [fingerprint(own.tolist()) for own in counts],
    }
    reads = {
        **answers,
        "rows": "of neurons",  # older stores have those of the baselines among them
        "probe": fingerprint([probe.weight.tolist(), probe.bias]),
        "neuron_sets": sets,
        "seed": setup.seed,
    }

    @cache
    def tested() -> tuple[AnswerSet, AnswerSet, Sequence[AnswerSet]]:
        sets = [replace(a.answer_set(), frequency=own) for a, own in zip(tested_on, counts, strict=True)]
        return fit.answer_set(), select.answer_set(), sets

    def rivals() -> list[Scored]:
        return [rival.scored() for rival in beside.value]

    own = run.store.whole(
        "detection",
        ResultRow,
        reads,
        lambda: detect(probe, sets, mean_contribution(run, fit), *tested(), setup.detection, setup.seed, rivals()),
    )
    # By themselves, because every cell of a sweep over probes has the same.
    baselines = run.store.whole("baselines", ResultRow, answers, lambda: detect_by_baselines(*tested(), rivals()))
    return (*own.value, *baselines.value)


def causal(
    run: Context, probe: Probe, neurons: HNeurons, identified: Identified, parts: Mapping[str, Questions]
) -> tuple[ResultRow, ...]:
    """Compliance on every benchmark, accuracy on known facts and perplexity, for every set, at every alpha.

    Nothing where it was turned off.
    """
    setup = run.experiment
    if not setup.intervention.swept:
        return ()
    sets = swept_sets(run, probe, neurons, identified)
    monitor = risk_monitor(neurons, identified) if "risky" in setup.intervention.variants else None
    rows: list[ResultRow] = []
    with device_of_sweeps(run):
        benchmarks, told = benchmarks_of(run, identified, parts)
        rows += told
        for benchmark in benchmarks:
            rows += measured_effects(run.store, alpha_sweep(run, benchmark, sets, monitor))
    whole = [one for one in sets if "/" not in one.name and one.scope == "all"]
    return (*rows, *perplexity(run, whole), *_norm_changes(sets, mean_contribution(run, identified.fit)))


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


def swept_sets(run: Context, probe: Probe, neurons: HNeurons, identified: Identified) -> list[NeuronSet]:
    """The neuron sets, their variants, and their controls, of which a set that comes back is swept once."""
    setup = run.experiment
    asked = setup.intervention
    contribution = mean_contribution(run, identified.fit)
    found: list[NeuronSet] = []
    for name, chosen in neuron_sets(run, neurons, identified.fit).items():
        own = tuple(sorted(chosen))
        found.append(NeuronSet(name=name, seed=0, neurons=own, alphas=asked.alphas))
        found += _variants(run, name, own, identified)
        exclude = nonzero(probe) | set(chosen)
        for kind in asked.controls:
            draws = range(setup.seed * 1000, setup.seed * 1000 + asked.control_seeds)
            drawn = (control_set(kind, probe.space, chosen, exclude, contribution, draw) for draw in draws)
            found += (
                NeuronSet(name=f"{name}/{kind}", seed=n, neurons=control, alphas=asked.control_grid)
                for n, control in enumerate(dict.fromkeys(drawn))
            )
    negative = tuple(int(n) for n in np.flatnonzero(probe.weight < 0))
    if asked.negative and negative:
        found.append(NeuronSet(name="negative", seed=0, neurons=negative, alphas=asked.alphas))
    return found


def _variants(run: Context, name: str, neurons: tuple[int, ...], identified: Identified) -> Iterator[NeuronSet]:
    """Other ways to suppress a set. Where z is set to something, alpha = 0 says that it is."""
    asked = run.experiment.intervention
    for variant in asked.variants:
        whole = NeuronSet(name=f"{name}@{variant}", seed=0, neurons=neurons, alphas=asked.suppressing)
        if variant == "risky":
            yield replace(whole, scope=variant)
        else:
            means = usual_activity(run, identified.fit, neurons).tolist()
            yield replace(whole, kind=variant, values=tuple(means), alphas=(0.0, 1.0))


def risk_monitor(neurons: HNeurons, identified: Identified) -> RiskMonitor:
    """The detector on the H-Neurons, which watches while the model answers."""
    return RiskMonitor(neuron_detector(neurons.neurons, identified.fit.answer_set(), identified.select.answer_set()))
