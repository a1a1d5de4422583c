"""How far the selection can be trusted: resamples, other strengths and labelings, and labels that chance gave.

What selection and detection find under permuted labels, noise has as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.evaluate import neuron_detector
from hneuro.neurons import HNeurons, Probe, ProbeRows
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.effects import Effects, Learnt
from hneuro.pipeline.measured import Answers
from hneuro.pipeline.run import Run
from hneuro.pipeline.selection import probe_path
from hneuro.probe.choice import Choice, Sparsest, choose
from hneuro.probe.labeling import (
    Labeling,
    LettersContrastive,
    LettersForeseen,
    OneVsOne,
    ThreeVsOne,
    permuted,
)
from hneuro.probe.selectors import Selector
from hneuro.probe.stability import frequencies, mean_overlap, overlap, resample_weights, reselect
from hneuro.result_records import Overlap, Resample, ResultRow, Stability
from hneuro.significance import share_at_least
from hneuro.stage import Shards, sharded
from hneuro.statistics import auroc_in_closed_form

RESAMPLES_PER_SHARD = 25
LABELINGS: tuple[Labeling, ...] = (OneVsOne(), ThreeVsOne(), LettersContrastive(), LettersForeseen())


def stability(run: Run, probes: Sequence[Probe], chosen: float, neurons: HNeurons, fit: Learnt) -> Stability | None:
    """Frequencies over resamples, and overlaps between resamples, strengths and labeling modes."""
    setup = run.experiment
    count = setup.stability.resamples
    if count == 0:
        return None
    # Along the path up to the chosen strength: denser selections say nothing about the one that is reported.
    strengths = [p.strength for p in probes if p.strength <= chosen]
    resamples = resampled(run.store, setup.probe, setup.labeling, fit, strengths, count, setup.seed).value
    at_chosen = [r.neurons for r in resamples if r.strength == chosen]
    overlaps = [mean_overlap(at_chosen)]
    overlaps += _between_strengths(probes, chosen, neurons)
    overlaps += [] if isinstance(fit, Effects) else _between_labelings(run, chosen, neurons, fit)
    return Stability(
        resamples=len(at_chosen), neurons=frequencies(resamples, neurons, chosen), overlaps=tuple(overlaps)
    )


@sharded(Resample, version=1, name="stability")
def resampled(
    selector: Selector, labeling: Labeling, fit: Learnt, strengths: Sequence[float], count: int, seed: int
) -> Shards[Resample]:
    @cache
    def weighted() -> tuple[ProbeRows, NDArray[np.float64]]:
        rows = fit.training(labeling)
        return rows, resample_weights(rows, count, seed)

    def work(draws: Sequence[int]) -> Sequence[Resample]:
        rows, weights = weighted()
        return reselect(rows, selector, strengths, weights, draws, seed)

    return Shards.of(range(count), RESAMPLES_PER_SHARD, work)


def _between_strengths(probes: Sequence[Probe], chosen: float, neurons: HNeurons) -> list[Overlap]:
    return [
        overlap("strengths", {f"{chosen:g}": neurons.neurons, f"{p.strength:g}": p.positive})
        for p in probes
        if p.strength != chosen and p.positive
    ]


def _between_labelings(run: Run, chosen: float, neurons: HNeurons, fit: Answers) -> list[Overlap]:
    """Other labeling modes of the same answers at the same strength, where their regions were extracted too."""
    setup = run.experiment
    found = []
    for other in LABELINGS:
        possible = set(other.regions) <= set(fit.found.regions) and other.letters <= setup.sampling.letters
        if other.name == setup.labeling.name or not possible:
            continue
        probe = next(p for p in probe_path(run, fit, other) if p.strength == chosen)
        sets = {setup.labeling.name: neurons.neurons, other.name: probe.positive}
        found.append(overlap("labeling modes", sets))
    return found


PERMUTED = "permuted"
METRICS = ("neurons", "select_auroc", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What selection and detection came to."""

    neurons: int
    select_auroc: float  # of the chosen probe
    auroc: float  # of the detector on held-out answers


def permutations(run: Run, identified: Identified, held_out: Sequence[Answers], fit: Learnt) -> tuple[ResultRow, ...]:
    """`METRICS` of the run ("h_neurons") and under each permutation ("h_neurons/permuted"), p one-sided, with the +1.

    Labels are permuted in every split, so that the probe, its choice and the test all see a world without a signal. A
    choice that asks the model under suppression is made by its accuracy on the select split alone, for the run's own
    labels too: nothing is generated here. Nothing without `stability.permuted`.
    """
    setup = run.experiment
    count = setup.stability.permuted
    tested = next((a for a in held_out if a.name == setup.identification.name and a.labelled), None)
    if not count or tested is None:
        return ()
    splits: list[Learnt] = [identified.fit, identified.select, tested]
    splits += [fit] if isinstance(fit, Effects) else []
    own, *null = permuted_runs(
        run.store, setup.probe, setup.choice, setup.labeling, splits, count, setup.seed
    ).value  # fmt: skip
    rows = []
    for metric in METRICS:
        drawn = [float(getattr(found, metric)) for found in null]
        value = float(getattr(own, metric))
        of = ResultRow(stage=PERMUTED, metric=metric, dataset=tested.name, condition="h_neurons", value=value)
        rows.append(replace(of, n=len(tested.labelled), p_value=share_at_least(value, drawn)))
        rows += [replace(of, condition="h_neurons/permuted", value=v, seed=n) for n, v in enumerate(drawn)]
    return tuple(rows)


@sharded(Found, version=1, name=PERMUTED)
def permuted_runs(
    selector: Selector, choice: Choice, labeling: Labeling, splits: Sequence[Learnt], count: int, seed: int
) -> Shards[Found]:
    if choice.suppresses:
        choice = Sparsest(metric="accuracy", tolerance=0.0)

    def work(draw: int) -> Sequence[Found]:
        """0 is the run itself."""
        fit, select, tested = (_permuted(s, draw) for s in splits if isinstance(s, Answers))
        effects = (s for s in splits if isinstance(s, Effects))
        return [_found(selector, choice, labeling, seed, fit, select, tested, next(effects, fit))]

    return Shards(range(count + 1), work)


def _permuted(answers: Answers, draw: int) -> Answers:
    return replace(answers, labelled=permuted(answers.labelled, draw)) if draw else answers


def _found(
    selector: Selector,
    choice: Choice,
    labeling: Labeling,
    seed: int,
    fit: Answers,
    select: Answers,
    tested: Answers,
    learnt: Learnt,
) -> Found:
    path = selector.path(learnt.training(labeling), seed)
    if not any(probe.positive for probe in path):
        return Found(neurons=0, select_auroc=0.5, auroc=0.5)
    probe, points = choose(path, fit.rows(), select.rows(), choice)
    detector = neuron_detector(probe.positive, fit.answer_set(), select.answer_set())
    rows = tested.rows()
    return Found(
        neurons=len(probe.positive),
        select_auroc=next(point.auroc for point in points if point.chosen),
        auroc=auroc_in_closed_form(rows.y, detector.scores_of(rows), rows.groups).value,
    )
