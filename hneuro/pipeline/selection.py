"""The probe path with what the choice of its strength needs, the neuron sets that follow, and the table of neurons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hneuro.causal.benchmarks.known import known_facts
from hneuro.causal.grid import NeuronSet
from hneuro.detection.evaluate import neuron_detector
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import HNeurons, Probe
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.effects import Learnt
from hneuro.pipeline.measured import Answers
from hneuro.pipeline.run import Questions, Run
from hneuro.pipeline.sweeps import alpha_sweep, device_of_sweeps
from hneuro.probe.choice import choose
from hneuro.probe.controls import random_set
from hneuro.probe.labeling import Labeling
from hneuro.probe.selectors import Selector, t_statistic
from hneuro.probe.stability import Correlated, correlated
from hneuro.records import Outcome, Verdict
from hneuro.result_records import NeuronRow, PathPoint, ReadAnswer, Stability, TrainedDetector
from hneuro.stage import Rows, array, stage
from hneuro.statistics import rate

SHOWN_NEURONS, SHOWN_ANSWERS, LONGEST = 100, 200, 300  # results stay small: neurons, answers, characters of an answer


@array(version=1)
def probe(selector: Selector, labeling: Labeling, fit: Learnt, seed: int) -> Rows:
    """[strength, neuron + 2]: the weights of each probe of the path, its bias and its duality gap."""
    strengths = len(selector.strengths)

    def work(_: slice) -> NDArray[np.float32]:
        path = selector.path(fit.training(labeling), seed)
        table = [np.concatenate([p.weight, [p.bias, np.nan if p.gap is None else p.gap]]) for p in path]
        return np.stack(table).astype(np.float32)

    return Rows.of((strengths, fit.space.size + 2), strengths, work)


def probe_path(run: Run, fit: Learnt, labeling: Labeling) -> tuple[Probe, ...]:
    """The selection path, the sparsest first. Weights are kept in float32."""
    selector = run.experiment.probe
    kept = probe(run.store, selector, labeling, fit, run.experiment.seed)
    return tuple(
        Probe(
            weight=np.asarray(line[:-2], dtype=np.float64),
            bias=float(line[-2]),
            strength=strength,
            space=fit.space,
            gap=None if np.isnan(line[-1]) else float(line[-1]),
        )
        for line, strength in zip(kept.value, sorted(selector.strengths), strict=True)
    )


def chosen_probe(
    run: Run, learns: Learnt, identified: Identified
) -> tuple[tuple[Probe, ...], Probe, tuple[PathPoint, ...]]:
    """The path, the probe that was chosen from it, and what was known of each of its points."""
    probes = probe_path(run, learns, run.experiment.labeling)
    suppressed = suppressed_accuracy(run, probes, identified.known)
    chosen, path = choose(probes, identified.fit.rows(), identified.select.rows(), run.experiment.choice, suppressed)
    return probes, chosen, path


def suppressed_accuracy(run: Run, probes: Sequence[Probe], known: Questions) -> list[float | None] | None:
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


def neuron_sets(run: Run, neurons: HNeurons, fit: Answers) -> dict[str, tuple[int, ...]]:
    """The H-Neurons, and on request the best by univariate ranking (which is not the paper's set)."""
    sets = {"h_neurons": neurons.neurons}
    if count := run.experiment.intervention.ranked:
        order = np.argsort(-t_statistic(fit.rows()), kind="stable")[:count]
        sets["ranked"] = tuple(int(n) for n in order)
    return sets


@array(version=1)
def mean_contribution(fit: Answers) -> Rows:
    """[neuron]: mean CETT over the answers of the fit split, where detectors read."""

    def work(_: slice) -> NDArray[np.float32]:
        return np.concatenate([block.mean(axis=0) for _, block in fit.rows().blocks()]).astype(np.float32)

    size = fit.found.space.size
    return Rows.of((size,), size, work)


def nonzero(probe: Probe) -> set[int]:
    """Neurons that no control may contain."""
    return {int(n) for n in np.flatnonzero(probe.weight)}


@stage(TrainedDetector, version=1)
def detector(
    model: LanguageModel, neurons: HNeurons, fit: Answers, select: Answers, position: str, dataset: str
) -> Sequence[TrainedDetector]:
    """The detector that the run is about: trained here, and read by every later stage."""
    own = neuron_detector(neurons.neurons, fit.answer_set(), select.answer_set())
    wrong = sum(item.hallucinated for item in fit.labelled)
    return [
        TrainedDetector(
            neurons=own.columns,
            weights=tuple(own.weight.tolist()),
            bias=own.bias,
            threshold=own.threshold,
            position=position,
            checkpoint=str(model.identity["weights"]),
            trained=f"{dataset}: {wrong} wrong and {len(fit.labelled) - wrong} right answers",
        )
    ]


def trained_detector(run: Run, neurons: HNeurons, identified: Identified) -> TrainedDetector:
    setup = run.experiment
    position = "last_prompt" if setup.labeling.tested == "last_prompt" else setup.contribution.position
    return detector(run.store, run.chat, neurons, identified.fit, identified.select, position, setup.dataset).value[0]


def random_controls(run: Run, probe: Probe, neurons: HNeurons) -> list[tuple[int, ...]]:
    """The random sets that detection compares the H-Neurons with, the same for every stage."""
    seeds = range(run.experiment.detection.control_seeds)
    start = run.experiment.seed * 1000
    return [random_set(probe.space, len(neurons.neurons), nonzero(probe), start + n) for n in seeds]


@stage(Correlated, version=1)
def correlations(fit: Answers, neurons: tuple[int, ...], level: float) -> Sequence[Correlated]:
    return [correlated(fit.rows(), neurons, level)]


def neuron_table(
    run: Run,
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
    alike = correlations(run.store, identified.fit, neurons.neurons, level).value[0]
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


def read_answers(neurons: HNeurons, fit: Answers) -> tuple[ReadAnswer, ...]:
    """What the heaviest H-Neurons did at some answers of either kind, spread over the fit split: for people to read."""
    cett = fit.rows().columns(neurons.neurons[:SHOWN_NEURONS])
    kinds = ([place for place, one in enumerate(fit.labelled) if one.hallucinated is kind] for kind in (True, False))
    kept = [
        own[n] for own in kinds for n in np.unique(np.linspace(0, len(own) - 1, SHOWN_ANSWERS // 2).round().astype(int))
    ]
    return tuple(
        ReadAnswer(
            question=fit.questions[one.question_id].text,
            said=fit.responses[one.question_id, one.sample].text.strip()[:LONGEST],
            verdict=Verdict.WRONG if one.hallucinated else Verdict.CORRECT,
            cett=tuple(float(f"{value:.4g}") for value in cett[place]),
        )
        for place, one in ((place, fit.labelled[place]) for place in kept)
    )
