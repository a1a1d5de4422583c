"""The probe path, the neuron sets that follow from it, and the table of neurons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hneuro.probe.controls import control_set
from hneuro.probe.selectors import t_statistic
from hneuro.records import HNeurons, NeuronRow, Probe
from hneuro.steps import stored
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.store import fingerprint


def probe_path(run: Context, fit: Answers) -> tuple[Probe, ...]:
    setup = run.experiment
    rows = setup.labeling.rows(fit.found, fit.labelled)
    made_from = {
        "labeling": stored.described(setup.labeling),
        "contributions": fit.digest,
        "labels": fingerprint(fit.labelled),
    }
    return stored.probe_path(run.store, setup.probe, rows, made_from, setup.seed).value


def neuron_sets(run: Context, neurons: HNeurons, fit: Answers) -> dict[str, tuple[int, ...]]:
    """The H-Neurons, and on request the best by univariate ranking beside them (which is not the paper's set)."""
    sets = {"h_neurons": neurons.neurons}
    if count := run.experiment.intervention.ranked:
        order = np.argsort(-t_statistic(fit.rows()), kind="stable")[:count]
        sets["ranked"] = tuple(int(n) for n in order)
    return sets


def nonzero(probe: Probe) -> set[int]:
    """Neurons that no control may contain."""
    return {int(n) for n in np.flatnonzero(probe.weight)}


def random_controls(run: Context, probe: Probe, neurons: HNeurons) -> list[tuple[int, ...]]:
    """The random sets that detection compares the H-Neurons with, the same for every stage."""
    seeds = range(run.experiment.detection.control_seeds)
    start = run.experiment.seed * 1000
    return [control_set("random", probe.space, neurons.neurons, nonzero(probe), start + n) for n in seeds]


def neuron_table(
    probes: Sequence[Probe], neurons: HNeurons, fit: Answers, select: Answers, drift: NDArray[np.float32] | None
) -> tuple[NeuronRow, ...]:
    fitted, selected = fit.rows(), select.rows()
    wrong, right = fitted.x[fitted.y == 1].mean(0), fitted.x[fitted.y == 0].mean(0)
    rows = []
    for rank, (neuron, weight) in enumerate(zip(neurons.neurons, neurons.weights, strict=True), 1):
        layer, index = neurons.space.locate(neuron)
        rows.append(
            NeuronRow(
                rank=rank,
                layer=layer,
                index=index,
                weight=weight,
                auroc=float(roc_auc_score(selected.y, selected.x[:, neuron])),
                cett_wrong=float(wrong[neuron]),
                cett_right=float(right[neuron]),
                path_share=float(np.mean([p.weight[neuron] > 0 for p in probes])),
                drift_rank=None if drift is None else float(drift[neuron]),
            )
        )
    return tuple(rows)


def by_layer(neurons: HNeurons) -> tuple[int, ...]:
    found = neurons.space.by_layer(neurons.neurons)
    return tuple(len(found.get(layer, ())) for layer in range(neurons.space.n_layers))
