"""Stability of the selection: resamples from the store, and what the selection shares with others."""

from __future__ import annotations

from collections.abc import Sequence

from hneuro.neurons import HNeurons, Probe, ProbeRows
from hneuro.probe.labeling import Labeling, LettersContrastive, LettersForeseen, OneVsOne, ThreeVsOne
from hneuro.probe.stability import frequencies, mean_overlap, overlap, resample_weights, reselect
from hneuro.result_records import Overlap, Resample, Stability
from hneuro.steps import stored
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.steps.selection import made_from, probe_path

RESAMPLES_PER_SHARD = 25
LABELINGS: tuple[Labeling, ...] = (OneVsOne(), ThreeVsOne(), LettersContrastive(), LettersForeseen())


def stability(
    run: Context, probes: Sequence[Probe], chosen: float, neurons: HNeurons, fit: Answers
) -> Stability | None:
    """Frequencies over resamples, and overlaps between resamples, strengths and labeling modes."""
    setup = run.experiment
    if setup.stability.resamples == 0:
        return None
    rows = setup.labeling.rows(fit.found, fit.labelled)
    resamples = _resamples(run, [p.strength for p in probes if p.strength <= chosen], rows, fit)
    at_chosen = [r.neurons for r in resamples if r.strength == chosen]
    overlaps = [mean_overlap(at_chosen)]
    overlaps += _between_strengths(probes, chosen, neurons)
    overlaps += _between_labelings(run, chosen, neurons, fit)
    return Stability(
        resamples=len(at_chosen), neurons=frequencies(resamples, neurons, chosen), overlaps=tuple(overlaps)
    )


def _resamples(run: Context, strengths: Sequence[float], rows: ProbeRows, fit: Answers) -> tuple[Resample, ...]:
    """Along the path up to the chosen strength: denser selections say nothing about the one that is reported."""
    setup = run.experiment
    count = setup.stability.resamples
    reads = {
        "selector": stored.described(setup.probe),
        "rows": made_from(setup.labeling, fit),
        "strengths": strengths,
        "resamples": count,
        "seed": setup.seed,
    }
    weights = resample_weights(rows, count, setup.seed)

    def work(draws: Sequence[int]) -> Sequence[Resample]:
        return reselect(rows, setup.probe, strengths, weights, draws, setup.seed)

    shards = stored.chunks(range(count), RESAMPLES_PER_SHARD)
    return run.store.records("stability", Resample, reads, shards, work).value


def _between_strengths(probes: Sequence[Probe], chosen: float, neurons: HNeurons) -> list[Overlap]:
    return [
        overlap("strengths", {f"{chosen:g}": neurons.neurons, f"{p.strength:g}": p.positive})
        for p in probes
        if p.strength != chosen and p.positive
    ]


def _between_labelings(run: Context, chosen: float, neurons: HNeurons, fit: Answers) -> list[Overlap]:
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
