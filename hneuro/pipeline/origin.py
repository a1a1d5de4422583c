"""Where the neurons come from: the base model, what it would select itself, and the checkpoints on the way to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import Classifier
from hneuro.detection.evaluate import neuron_detector
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import Contributions, HNeurons, NeuronSpace, Probe
from hneuro.origin.drift import PARTS, drift_rows, ranks_of
from hneuro.origin.drift import distances as between
from hneuro.origin.transfer import Readers, at, backward_transfer, shared_neurons, transfer_at
from hneuro.pipeline import stored
from hneuro.pipeline.answers import Identified, base_fit, evaluation_sets
from hneuro.pipeline.measured import Answers, Trail, pooled, testable
from hneuro.pipeline.run import Run
from hneuro.pipeline.selection import probe_path, random_controls
from hneuro.result_records import ResultRow, TrainedDetector
from hneuro.stage import Rows, array, stage
from hneuro.store import Kept, fingerprint

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The rows, and for the table of neurons the drift rank of each and its weight in the base model's own probe."""

    rows: tuple[ResultRow, ...] = ()
    trail: Trail = field(default_factory=Trail)
    ranks: NDArray[np.float64] | None = None
    own: Probe | None = None


def origin(
    run: Run,
    probe: Probe,
    neurons: HNeurons,
    trained: TrainedDetector,
    identified: Identified,
) -> Origin:
    """Backward transfer next to the base model's own probe, drift, both at every checkpoint; nothing without a base."""
    if run.base is None:
        return Origin()
    store, seed = run.store, run.experiment.seed
    fit, select = identified.fit, identified.select
    drawn = random_controls(run, probe, neurons)

    def made() -> Readers:
        fitted, selected = fit.answer_set(), select.answer_set()
        controls = tuple(neuron_detector(c, fitted, selected) for c in drawn)
        return Readers(probe=probe, detector=Classifier.of(trained), controls=controls)

    readers = Kept(made, fingerprint([probe, trained, drawn, fit, select]))
    moved = _distances(run, run.base)
    own, trail = _own_probe(run, run.base, probe.strength)
    measured = evaluation_sets(run, run.base)
    rows = transferred(store, readers, neurons, own, measured, moved, seed).value
    run.base.release()  # a checkpoint at a time takes its place
    used = sorted({*np.flatnonzero(probe.weight).tolist(), *neurons.neurons}.union(*drawn))
    for name, model in run.checkpoints.items():
        then = _distances(run, model)
        kept = [_read_by(run, model, answers, used) for answers in measured]
        rows += moments(store, name, readers, neurons, measured, kept, then, seed).value
        model.release()
    trail = sum((answers.trail for answers in measured), trail)
    return Origin(rows=rows, trail=trail, ranks=ranks_of(moved.value)[0], own=own)


@stage(ResultRow, version=1, name="origin")
def transferred(
    readers: Kept[Readers],
    neurons: HNeurons,
    own: Probe | None,
    measured: Sequence[Answers],
    moved: Kept[NDArray[np.float64]],
    seed: int,
) -> Sequence[ResultRow]:
    rows = backward_transfer(readers.value, testable(measured), own)
    shared = [] if own is None else [shared_neurons(neurons, own)]
    return [*rows, *shared, *drift_rows(moved.value, neurons, seed)]


@stage(ResultRow, version=1)
def moments(
    name: str,
    readers: Kept[Readers],
    neurons: HNeurons,
    measured: Sequence[Answers],
    kept: Sequence[Answers],
    moved: Kept[NDArray[np.float64]],
    seed: int,
) -> Sequence[ResultRow]:
    """What a checkpoint shows of the neurons. Its contributions are `kept` of those alone that somebody reads."""
    finished = [readers.value.detector.scores_of(tested.rows) for tested in testable(measured)]
    transfer = transfer_at(name, readers.value, testable(kept), finished)
    return [*transfer, *at(name, drift_rows(moved.value, neurons, seed))]


def _distances(run: Run, model: LanguageModel) -> Kept[NDArray[np.float64]]:
    return distances(run.store, run.chat, model, stored.neuron_space(run.store, run.chat))


def _checkpoint(of: str) -> Callable[..., Any]:
    return lambda **given: given[of].identity["weights"]


@array(version=1, reads={"chat": _checkpoint("chat"), "base": _checkpoint("base")})
def distances(chat: LanguageModel, base: LanguageModel, space: NeuronSpace) -> Rows:
    """[part, neuron]: how far each part of each neuron's weights is from another model's."""

    def work(_: slice) -> NDArray[np.float64]:
        from hneuro.models.files import NotPlain, stored_ffn

        try:
            return between(stored_ffn(chat.source), stored_ffn(base.source))
        except NotPlain as fault:
            log.info("drift is measured on the loaded models: %s", fault)
            return between(chat.loaded.ffn, base.loaded.ffn)

    return Rows.of((len(PARTS), space.size), len(PARTS), work, "float64")


def _own_probe(run: Run, base: LanguageModel, strength: float) -> tuple[Probe | None, Trail]:
    """The same selection at the same strength, fitted on the base model's own consistent answers."""
    if run.experiment.by_effect:  # it has not been asked to give in
        return None, Trail()
    answers, trail = base_fit(run, base)
    if answers is None:
        return None, trail
    return next(p for p in probe_path(run, answers, run.experiment.labeling) if p.strength == strength), trail


def _read_by(run: Run, model: LanguageModel, answers: Answers, neurons: Sequence[int]) -> Answers:
    """The same answers as another model reads them, in the columns of these neurons."""
    sequences, positions = pooled(run, model, answers.said(), answers.tested)
    budget = run.experiment.contribution.token_budget
    kept = stored.columns(run.store, model, sequences, positions, budget, neurons)
    found = Contributions(
        values=kept.value[:, None, :],
        keys=tuple((r.question_id, r.sample) for r in answers.labelled),
        regions=(answers.tested,),
        space=NeuronSpace(n_layers=1, width=len(neurons)),
    )
    return replace(answers, found=found, digest=kept.digest)
