"""The mechanism table from the store: each signal on the rows that detection tests, and a probe of every set's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import Classifier
from hneuro.detection.mechanism.asking import Asked, in_words_of, p_unsure
from hneuro.detection.mechanism.signals import (
    MEASURES,
    as_signals,
    inconsistency,
    remaining_rows,
    signal_rows,
    sparsity_of,
)
from hneuro.detection.mechanism.transfer import transfer_rows
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import HNeurons, Probe, ProbeRows
from hneuro.pipeline.detection import frequency
from hneuro.pipeline.measured import Answers, testable
from hneuro.pipeline.run import Run
from hneuro.pipeline.sampling import repeated
from hneuro.pipeline.stored import RESPONSES_PER_SHARD, features_in_file, is_large
from hneuro.probe.selectors import Selector
from hneuro.probe.solver import transposed
from hneuro.records import Response
from hneuro.result_records import FunnelStep, ResultRow, TrainedDetector
from hneuro.stage import Rows, array, stage
from hneuro.store import Kept

ASKED_PER_SHARD = 256


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured about the answers of a set apart from their contributions, or why it was not."""

    answers: Answers
    sparse: Kept[NDArray[np.float32]]  # [row, measure, 1 + layer]
    unsure: Kept[NDArray[np.float32]] | str  # [row]
    again: Kept[tuple[Response, ...]] | str
    counts: NDArray[np.float64]  # [row]


def mechanism(
    run: Run, probe: Probe, neurons: HNeurons, trained: TrainedDetector, held_out: Sequence[Answers]
) -> tuple[tuple[ResultRow, ...], tuple[FunnelStep, ...]]:
    """Rows, and answers of which no count is known. Nothing where it was turned off."""
    setup = run.experiment
    settings = setup.mechanism
    if not settings.measured:
        return (), ()
    measured = [_measured(run, answers) for answers in held_out if answers.labelled]
    unknown = "no count of the training data is known: name a file of them in mechanism.counts"
    reasons = {
        (m.answers.name, signal): reason
        for m in measured
        for signal, reason in (
            ("logprob", "not given by the sampler"),
            ("entropy", "not given by the sampler"),
            ("unsure", m.unsure),
            ("inconsistency", m.again if isinstance(m.again, str) else "fewer than two samples could be used"),
            ("rarity", unknown if settings.counts is None else "not in the count file"),
        )
        if isinstance(reason, str)
    }
    told = signals(run.store, measured, trained, reasons, settings.folds, settings.min_per_class, setup.seed).value
    uncounted = tuple(step for m in measured if settings.counts for step in _uncounted(m))
    return (*told, *_transfer(run, probe, neurons, held_out)), uncounted


@stage(ResultRow, version=2, name="mechanism")
def signals(
    measured: Sequence[Measured],
    trained: TrainedDetector,
    reasons: Mapping[tuple[str, str], str],
    folds: int,
    min_per_class: int,
    seed: int,
) -> Sequence[ResultRow]:
    """Each signal by itself, and what the detector's score adds to the others."""
    detector = Classifier.of(trained)
    known = {m.answers.name: _signals(m, detector.scores_of(m.answers.rows())) for m in measured}
    sets = [replace(tested, baselines=known[tested.name]) for tested in testable([m.answers for m in measured])]
    return [*signal_rows(sets, reasons), *remaining_rows(sets, folds, min_per_class, seed)]


def _measured(run: Run, answers: Answers) -> Measured:
    again: Kept[tuple[Response, ...]] | str = "turned off"
    if run.experiment.mechanism.samples:
        again = repeated(run, run.chat, tuple(answers.questions.values()))
    return Measured(
        answers=answers,
        sparse=sparsity(run.store, answers),
        unsure=_unsure(run, answers),
        again=again,
        counts=frequency(run, answers),
    )


def _uncounted(measured: Measured) -> Iterator[FunnelStep]:
    """Answers about what the count file does not have."""
    asked = len(measured.counts)
    if missing := int(np.isnan(measured.counts).sum()):
        yield FunnelStep(
            stage="training frequency",
            dataset=measured.answers.name,
            unit="responses",
            entered=asked,
            left=asked - missing,
            lost={"not in the count file": missing},
        )


@array(version=2)
def sparsity(answers: Answers) -> Rows:
    """[row, measure]."""
    space, lines = answers.found.space, answers.rows().lines

    def work(rows: slice) -> NDArray[np.float32]:
        return sparsity_of(answers.found.table, lines[rows], space)

    return Rows.of((len(lines), len(MEASURES)), RESPONSES_PER_SHARD, work)


def _unsure(run: Run, answers: Answers) -> Kept[NDArray[np.float32]] | str:
    settings, model = run.experiment.mechanism, run.chat
    asked = in_words_of(model, settings.asking)
    if isinstance(asked, str):
        return asked
    said = [
        (answers.questions[r.question_id].text, answers.responses[r.question_id, r.sample].text)
        for r in answers.labelled
    ]
    return unsure(run.store, model, asked, said, settings.token_budget)


@array(version=1, aside=("token_budget",))
def unsure(model: LanguageModel, asked: Asked, said: Sequence[tuple[str, str]], token_budget: int) -> Rows:
    """[row]: how probable the model finds it that what it said is wrong, when it is asked."""

    def work(rows: slice) -> NDArray[np.float32]:
        return p_unsure(model, asked, said[rows], token_budget).astype(np.float32)

    return Rows.of((len(said),), ASKED_PER_SHARD, work)


def _signals(measured: Measured, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """[row, signal] of all answers of a set."""
    answers = measured.answers
    baselines = answers.answer_set().baselines
    known = {
        "h_neurons": score,
        "logprob": baselines[:, 0],
        "entropy": baselines[:, 1],
        "active_share": measured.sparse.value[:, 0].astype(np.float64),
        "hoyer": measured.sparse.value[:, 1].astype(np.float64),
        "rarity": measured.counts,
    }
    if not isinstance(measured.unsure, str):
        known["unsure"] = measured.unsure.value.astype(np.float64)
    if not isinstance(measured.again, str):
        known["inconsistency"] = inconsistency(answers.labelled, measured.again.value)
    return as_signals(known, len(answers.labelled))


def _transfer(run: Run, probe: Probe, neurons: HNeurons, held_out: Sequence[Answers]) -> tuple[ResultRow, ...]:
    setup = run.experiment
    if not setup.mechanism.transfer or setup.by_effect:  # other sets have no effects to select by
        return ()
    return transfer(
        run.store, held_out, setup.probe, neurons, probe.strength, setup.mechanism.min_per_class, setup.seed,
        partial(_source, run),
    ).value  # fmt: skip


@stage(ResultRow, version=1, aside=("rows_of",))
def transfer(
    held_out: Sequence[Answers],
    selector: Selector,
    neurons: HNeurons,
    strength: float,
    least: int,
    seed: int,
    rows_of: Callable[[Answers], ProbeRows],
) -> Sequence[ResultRow]:
    sources = {answers.name: rows_of(answers) for answers in held_out if answers.two_sided}
    return list(transfer_rows(testable(held_out), sources, selector, neurons, strength, least, seed))


def _source(run: Run, answers: Answers) -> ProbeRows:
    """The rows of a set as a probe reads them: neuron by neuron from a file, where they are large."""
    rows, space = answers.rows(), answers.found.space
    if not is_large(len(rows.y), space.size):
        return rows
    block = partial(transposed, rows.table)
    shape = (space.size, len(rows.table))
    features = run.experiment.contribution.features
    return replace(rows, by_neuron=features_in_file(run.store, answers.digest, shape, block, features))
