"""The trials of the H-Neurons: do they detect, and do they cause?"""

from __future__ import annotations

from collections.abc import Sequence

from hneuro.causal.capability import known_facts
from hneuro.causal.effects import effects
from hneuro.causal.grid import NeuronSet
from hneuro.detection.evaluate import MEASURES, detect
from hneuro.probe.controls import control_set
from hneuro.records import HNeurons, Probe
from hneuro.results import ResultRow
from hneuro.steps import stored
from hneuro.steps.answers import Identified, testable
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.steps.selection import neuron_sets, nonzero
from hneuro.store import fingerprint


def detection(
    run: Context, probe: Probe, neurons: HNeurons, identified: Identified, held_out: Sequence[Answers]
) -> tuple[ResultRow, ...]:
    setup = run.experiment
    fit, select = identified.fit, identified.select
    sets = neuron_sets(run, neurons, fit)
    reads = {
        "probe": fingerprint([probe.weight.tolist(), probe.bias]),
        "answers": [(a.name, a.digest, fingerprint(a.labelled)) for a in (fit, select, *held_out)],
        "settings": setup.detection,
        "measures": MEASURES,
        "neuron_sets": sets,
        "seed": setup.seed,
    }

    def work() -> Sequence[ResultRow]:
        tested = testable(run, held_out)
        return detect(probe, sets, fit.answer_set(), select.answer_set(), tested, setup.detection, setup.seed)

    return run.store.whole("detection", ResultRow, reads, work).value


def causal(run: Context, probe: Probe, neurons: HNeurons, identified: Identified) -> tuple[ResultRow, ...]:
    """Compliance on every benchmark and accuracy on known facts, for every set and control, at every alpha."""
    setup = run.experiment
    swept_sets: list[NeuronSet] = []
    for name, chosen in neuron_sets(run, neurons, identified.fit).items():
        swept_sets.append(NeuronSet(name=name, seed=0, neurons=tuple(sorted(chosen))))
        for kind in setup.intervention.controls:
            for draw in range(setup.intervention.control_seeds):
                exclude = nonzero(probe) | set(chosen)
                control = control_set(kind, probe.space, chosen, exclude, setup.seed * 1000 + draw)
                swept_sets.append(NeuronSet(name=f"{name}/{kind}", seed=draw, neurons=control))
    benchmarks = list(setup.benchmarks.values())
    if identified.known:
        benchmarks.append(known_facts(identified.known, setup.judge, setup.model.prompting.suffix, setup.answer_tokens))
    rows: list[ResultRow] = []
    for benchmark in benchmarks:
        swept, items = stored.alpha_sweep(run.store, run.chat, benchmark, swept_sets, setup.intervention, setup.seed)
        rows += stored.measured_effects(run.store, swept, items, effects)
    return tuple(rows)
