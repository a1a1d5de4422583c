"""The probe path with what the choice of its strength needs, the neuron sets that follow, and the table of neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hneuro.causal.benchmarks.known import known_facts
from hneuro.causal.grid import NeuronSet
from hneuro.detection.evaluate import neuron_detector
from hneuro.neurons import HNeurons, Probe
from hneuro.probe.controls import random_set
from hneuro.probe.labeling import Labeling
from hneuro.probe.selectors import t_statistic
from hneuro.probe.stability import Correlated, correlated
from hneuro.records import Outcome
from hneuro.result_records import NeuronRow, Stability, TrainedDetector
from hneuro.statistics import rate
from hneuro.steps import stored
from hneuro.steps.answers import Identified
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.steps.sampling import Questions
from hneuro.steps.sweeps import alpha_sweep, device_of_sweeps
from hneuro.store import fingerprint


def made_from(labeling: Labeling, fit: Answers) -> dict[str, Any]:
    """What identifies the rows of a labeling in a key."""
    return {
        "labeling": stored.described(labeling),
        "contributions": fit.digest,
        "labels": fingerprint(fit.labelled),
    }


def probe_path(run: Context, fit: Answers, labeling: Labeling) -> tuple[Probe, ...]:
    setup = run.experiment
    rows = labeling.rows(fit.found, fit.labelled)
    return stored.probe_path(run.store, setup.probe, rows, made_from(labeling, fit), setup.seed).value


def suppressed_accuracy(run: Context, probes: Sequence[Probe], known: Questions) -> list[float | None] | None:
    """For each probe the accuracy on known questions while its H-Neurons are scaled by 0; None if nobody asks for it.

    All points of the path are one generation job. A probe without H-Neurons has none to suppress; NaN where no answer
    could be judged.
    """
    setup = run.experiment
    if not setup.choice.suppresses:
        return None
    distinct = list(dict.fromkeys(p.positive for p in probes if p.positive))
    sets = [NeuronSet(name="path", seed=n, neurons=chosen, alphas=(0.0,)) for n, chosen in enumerate(distinct)]
    if not sets:
        return [None] * len(probes)
    benchmark = known_facts(known, setup.judge, setup.model.prompting.suffix, setup.answer_tokens)
    with device_of_sweeps(run):
        swept = alpha_sweep(run, benchmark, sets)
    read = list(zip(swept.answers.value, swept.readings.value, strict=True))
    accuracy: dict[tuple[int, ...], float] = {}
    for chosen in sets:
        said = [reading.outcome for answer, reading in read if answer.seed == chosen.seed]
        right, unread = said.count(Outcome.COMPLIES), said.count(Outcome.UNPARSED)
        accuracy[chosen.neurons] = rate(right, len(said) - unread).value
    return [accuracy.get(p.positive) for p in probes]


def neuron_sets(run: Context, neurons: HNeurons, fit: Answers) -> dict[str, tuple[int, ...]]:
    """The H-Neurons, and on request the best by univariate ranking beside them (which is not the paper's set)."""
    sets = {"h_neurons": neurons.neurons}
    if count := run.experiment.intervention.ranked:
        order = np.argsort(-t_statistic(fit.rows()), kind="stable")[:count]
        sets["ranked"] = tuple(int(n) for n in order)
    return sets


def mean_contribution(run: Context, fit: Answers) -> NDArray[np.float64]:
    """[neuron]: mean CETT over the answers of the fit split, where detectors read."""
    reads = {"answers": fit.digest, "of": fingerprint(fit.labelled)}

    def work(_: slice) -> NDArray[np.float32]:
        return np.concatenate([block.mean(axis=0) for _, block in fit.rows().blocks()]).astype(np.float32)

    size = fit.found.space.size
    return run.store.array("mean_contribution", reads, (size,), [slice(0, size)], work).value.astype(np.float64)


def nonzero(probe: Probe) -> set[int]:
    """Neurons that no control may contain."""
    return {int(n) for n in np.flatnonzero(probe.weight)}


def trained_detector(run: Context, neurons: HNeurons, identified: Identified) -> TrainedDetector:
    """The detector that the run is about, to be kept."""
    setup, fit, select = run.experiment, identified.fit, identified.select
    own = neuron_detector(neurons.neurons, fit.answer_set(), select.answer_set())
    wrong = sum(item.hallucinated for item in fit.labelled)
    return TrainedDetector(
        neurons=own.columns,
        weights=tuple(own.weight.tolist()),
        bias=own.bias,
        threshold=own.threshold,
        position="last_prompt" if setup.labeling.tested == "last_prompt" else setup.contribution.position,
        checkpoint=str(run.chat.identity["weights"]),
        trained=f"{setup.dataset}: {wrong} wrong and {len(fit.labelled) - wrong} right answers",
    )


def random_controls(run: Context, probe: Probe, neurons: HNeurons) -> list[tuple[int, ...]]:
    """The random sets that detection compares the H-Neurons with, the same for every stage."""
    seeds = range(run.experiment.detection.control_seeds)
    start = run.experiment.seed * 1000
    return [random_set(probe.space, len(neurons.neurons), nonzero(probe), start + n) for n in seeds]


def neuron_table(
    run: Context,
    probes: Sequence[Probe],
    neurons: HNeurons,
    identified: Identified,
    stability: Stability | None,
    drift: NDArray[np.float64] | None,
    own: Probe | None,
) -> tuple[NeuronRow, ...]:
    fitted, selected = identified.fit.rows(), identified.select.rows()
    on_fit, on_select = fitted.columns(neurons.neurons), selected.columns(neurons.neurons)
    wrong, right = on_fit[fitted.y == 1].mean(0), on_fit[fitted.y == 0].mean(0)
    frequency = {f.rank: f.frequency for f in stability.neurons} if stability else {}
    level = run.experiment.stability.correlation
    reads = {"answers": made_from(run.experiment.labeling, identified.fit), "neurons": neurons.neurons, "level": level}
    (alike,) = run.store.whole(
        "correlations", Correlated, reads, lambda: [correlated(fitted, neurons.neurons, level)]
    ).value
    rows = []
    for place, (neuron, weight) in enumerate(zip(neurons.neurons, neurons.weights, strict=True)):
        layer, expert, index = neurons.space.address(neuron)
        rows.append(
            NeuronRow(
                rank=place + 1,
                layer=layer,
                index=index,
                weight=weight,
                auroc=float(roc_auc_score(selected.y, on_select[:, place])),
                cett_wrong=float(wrong[place]),
                cett_right=float(right[place]),
                path=tuple(float(p.weight[neuron]) for p in probes),
                frequency=frequency.get(place + 1),
                partners=alike.partners[place],
                cluster=alike.clusters[place],
                drift_rank=None if drift is None else float(drift[neuron]),
                expert=expert,
                base_weight=None if own is None else float(own.weight[neuron]),
            )
        )
    return tuple(rows)


def by_layer(neurons: HNeurons) -> tuple[int, ...]:
    found = neurons.space.by_layer(neurons.neurons)
    return tuple(len(found.get(layer, ())) for layer in range(neurons.space.n_layers))
