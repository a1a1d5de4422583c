"""Where the neurons come from: the base model, what it would select itself, and the checkpoints on the way to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.evaluate import neuron_detector
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import Contributions, HNeurons, NeuronSpace, Probe
from hneuro.origin.transfer import backward_transfer, shared_neurons
from hneuro.result_records import ResultRow
from hneuro.statistics import BOUNDARY
from hneuro.steps import stored
from hneuro.steps.answers import Identified, base_fit, evaluation_sets, testable
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.steps.sampling import Questions
from hneuro.steps.selection import probe_path, random_controls
from hneuro.store import fingerprint

Parts = Mapping[str, Questions]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The rows, and for the table of neurons the drift rank of each and its weight in the base model's own probe."""

    rows: tuple[ResultRow, ...] = ()
    ranks: NDArray[np.float64] | None = None
    own: Probe | None = None


def origin(
    run: Context, probe: Probe, neurons: HNeurons, identified: Identified, parts: Parts, others: Parts
) -> Origin:
    """Backward transfer beside the base model's own probe, drift, both at every checkpoint; nothing without a base."""
    if run.base is None:
        return Origin()
    moved = stored.distances(run.store, run.chat, run.base)
    own = _own_probe(run, run.base, parts["fit"], probe.strength)
    measured = evaluation_sets(run, run.base, parts["report"], others)
    fit, select = identified.fit, identified.select
    reads = {
        "probe": _told(probe),
        "neurons": neurons,
        "own": None if own is None else _told(own),
        "answers": [(a.name, a.digest, fingerprint(a.labelled)) for a in (fit, select, *measured)],
        "moved": moved.digest,
        "settings": run.experiment.detection,
        "seed": run.experiment.seed,
        "intervals": BOUNDARY,
    }

    def work() -> Sequence[ResultRow]:
        from hneuro.origin.drift import drift_rows

        fitted, selected = fit.answer_set(), select.answer_set()
        detector = neuron_detector(neurons.neurons, fitted, selected)
        controls = [neuron_detector(c, fitted, selected) for c in random_controls(run, probe, neurons)]
        rows = backward_transfer(probe, detector, controls, testable(measured), own)
        shared = [] if own is None else [shared_neurons(neurons, own)]
        return [*rows, *shared, *drift_rows(moved.value, neurons, run.experiment.seed)]

    rows = run.store.whole("origin", ResultRow, reads, work).value
    run.base.release()  # a checkpoint at a time takes its place
    then = [row for name in run.checkpoints for row in _moment(run, name, probe, neurons, identified, measured)]
    return Origin(rows=(*rows, *then), ranks=_ranks(moved.value), own=own)


def _told(probe: Probe) -> str:
    return fingerprint([probe.weight.tolist(), probe.bias])


def _ranks(moved: NDArray[np.float64]) -> NDArray[np.float64]:
    from hneuro.origin.drift import ranks_of

    ranks: NDArray[np.float64] = ranks_of(moved)[0]
    return ranks


def _own_probe(run: Context, base: LanguageModel, fit: Questions, strength: float) -> Probe | None:
    """The same selection at the same strength, fitted on the base model's own consistent answers."""
    answers = base_fit(run, base, fit)
    if answers is None:
        return None
    return next(p for p in probe_path(run, answers, run.experiment.labeling) if p.strength == strength)


def _moment(
    run: Context, name: str, probe: Probe, neurons: HNeurons, identified: Identified, measured: Sequence[Answers]
) -> tuple[ResultRow, ...]:
    """What a checkpoint shows of the neurons. Its contributions are kept of those alone that somebody reads."""
    model = run.checkpoints[name]
    setup = run.experiment
    fit, select = identified.fit, identified.select
    assert run.base is not None
    moved = stored.distances(run.store, run.chat, model)
    used = sorted(
        {*np.flatnonzero(probe.weight).tolist(), *neurons.neurons}.union(*random_controls(run, probe, neurons))
    )
    kept = [_read_by(run, model, answers, used) for answers in measured]
    reads: dict[str, Any] = {
        "moment": name,
        "probe": _told(probe),
        "neurons": neurons,
        "answers": [(a.name, a.digest, fingerprint(a.labelled)) for a in (fit, select, *measured, *kept)],
        "moved": moved.digest,
        "settings": setup.detection,
        "seed": setup.seed,
        "intervals": BOUNDARY,
    }

    def work() -> Iterator[ResultRow]:
        from hneuro.origin.drift import drift_rows
        from hneuro.origin.moments import Readers, at, transfer_at

        fitted, selected = fit.answer_set(), select.answer_set()
        readers = Readers(
            probe=probe,
            detector=neuron_detector(neurons.neurons, fitted, selected),
            controls=tuple(neuron_detector(c, fitted, selected) for c in random_controls(run, probe, neurons)),
        )
        assert readers.neurons == tuple(used)
        finished = [readers.detector.scores_of(tested.rows) for tested in testable(measured)]
        yield from transfer_at(name, readers, testable(kept), finished)
        yield from at(name, drift_rows(moved.value, neurons, setup.seed))

    found = run.store.whole("moments", ResultRow, reads, lambda: list(work())).value
    model.release()
    return found


def _read_by(run: Context, model: LanguageModel, answers: Answers, neurons: Sequence[int]) -> Answers:
    """The same answers as another model reads them, in the columns of these neurons."""
    keys = [(r.question_id, r.sample) for r in answers.labelled]
    kept = stored.columns(
        run.store,
        model,
        run.experiment.contribution,
        answers.tested,
        [answers.responses[key] for key in keys],
        [answers.spans[key] for key in keys],
        neurons,
    )
    found = Contributions(
        values=kept.value[:, None, :],
        keys=tuple(keys),
        regions=(answers.tested,),
        space=NeuronSpace(n_layers=1, width=len(neurons)),
    )
    return replace(answers, found=found, digest=kept.digest)
