"""The mechanism table from the store: each signal on the rows that detection tests, and a probe of every set's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.evaluate import neuron_detector
from hneuro.detection.mechanism.asking import in_words_of, p_unsure
from hneuro.detection.mechanism.remaining import remaining_rows
from hneuro.detection.mechanism.settings import Counts, frequencies, read_counts
from hneuro.detection.mechanism.signals import (
    LAYER_METRICS,
    MEASURES,
    as_signals,
    inconsistency,
    layer_rows,
    signal_rows,
    sparsity_of,
)
from hneuro.detection.mechanism.transfer import transfer_rows
from hneuro.neurons import HNeurons, Probe, ProbeRows
from hneuro.probe.solver import transposed
from hneuro.records import Response
from hneuro.result_records import FunnelStep, ResultRow
from hneuro.statistics import BOUNDARY
from hneuro.steps import stored
from hneuro.steps.answers import Identified, testable
from hneuro.steps.context import Context
from hneuro.steps.features import features_in_file
from hneuro.steps.measured import Answers
from hneuro.steps.sampling import repeated
from hneuro.store import Kept, fingerprint
from hneuro.verdicts.words import NORMAL_FORM

ASKED_PER_SHARD = 256


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured about the answers of a set beside their contributions, or why it was not."""

    answers: Answers
    sparse: Kept[NDArray[np.float32]]  # [row, measure, 1 + layer]
    unsure: Kept[NDArray[np.float32]] | str  # [row]
    again: Kept[tuple[Response, ...]] | str
    counts: NDArray[np.float64]  # [row]

    def reads(self) -> dict[str, Any]:
        return {
            "answers": [self.answers.name, self.answers.digest, fingerprint(self.answers.labelled)],
            "sparse": self.sparse.digest,
            "unsure": self.unsure if isinstance(self.unsure, str) else self.unsure.digest,
            "again": self.again if isinstance(self.again, str) else self.again.digest,
            "counts": fingerprint(self.counts.tolist()),
        }


def mechanism(
    run: Context, probe: Probe, neurons: HNeurons, identified: Identified, held_out: Sequence[Answers]
) -> tuple[ResultRow, ...]:
    """Nothing where it was turned off."""
    setup = run.experiment
    settings = setup.mechanism
    if not settings.measured:
        return ()
    counts = read_counts(settings.counts) if settings.counts else None
    measured = [_measured(run, answers, counts) for answers in held_out if answers.labelled]
    unknown = "no count of the training data is known: name a file of them in mechanism.counts"
    reasons = {
        (m.answers.name, signal): reason
        for m in measured
        for signal, reason in (
            ("logprob", "not told by the sampler"),
            ("entropy", "not told by the sampler"),
            ("unsure", m.unsure),
            ("inconsistency", m.again if isinstance(m.again, str) else "fewer than two samples could be used"),
            ("rarity", unknown if settings.counts is None else "not in the count file"),
        )
        if isinstance(reason, str)
    }
    reads = {
        "measured": [m.reads() for m in measured],
        "fit": [(a.digest, fingerprint(a.labelled)) for a in (identified.fit, identified.select)],
        "neurons": neurons,
        "reasons": {" ".join(key): reason for key, reason in reasons.items()},
        "settings": [settings.folds, settings.min_per_class],
        "seed": setup.seed,
        "normal form": NORMAL_FORM,  # of what counts as the same answer
        "by layer": LAYER_METRICS,  # a table without some of them is of another version
        "intervals": BOUNDARY,
    }

    def work() -> Sequence[ResultRow]:
        detector = neuron_detector(neurons.neurons, identified.fit.answer_set(), identified.select.answer_set())
        signals = {m.answers.name: _signals(m, detector.scores_of(m.answers.rows())) for m in measured}
        whole = testable([m.answers for m in measured])
        sets = [replace(tested, baselines=signals[tested.name]) for tested in whole]
        rows = [*signal_rows(sets, reasons), *remaining_rows(sets, settings.folds, settings.min_per_class, setup.seed)]
        for m in measured:
            read = m.answers.rows()
            rows += layer_rows(m.answers.name, read.y == 1, read.groups, m.sparse.value, settings.min_per_class)
        return rows

    table = run.store.whole("mechanism", ResultRow, reads, work).value
    return (*table, *_transfer(run, probe, neurons, held_out))


def _measured(run: Context, answers: Answers, known: Counts | None) -> Measured:
    setup = run.experiment
    settings = setup.mechanism
    asked = [answers.questions[r.question_id] for r in answers.labelled]
    counts = frequencies(asked, known, settings.count_field)
    if missing := int(np.isnan(counts).sum()) if known is not None else 0:
        run.funnel.append(
            FunnelStep(
                stage="training frequency",
                dataset=answers.name,
                unit="responses",
                entered=len(counts),
                left=len(counts) - missing,
                lost={"not in the count file": missing},
            )
        )
    again: Kept[tuple[Response, ...]] | str = "turned off"
    if settings.samples:
        again = repeated(run, run.chat, tuple(answers.questions.values()))
    return Measured(
        answers=answers, sparse=_sparse(run, answers), unsure=_unsure(run, answers), again=again, counts=counts
    )


def _sparse(run: Context, answers: Answers) -> Kept[NDArray[np.float32]]:
    space, lines = answers.found.space, answers.rows().lines
    reads = {"contributions": answers.digest, "of": fingerprint([(r.question_id, r.sample) for r in answers.labelled])}

    def work(rows: slice) -> NDArray[np.float32]:
        return sparsity_of(answers.found.table, lines[rows], space)

    shape = (len(lines), len(MEASURES), 1 + space.n_layers)
    return run.store.array("sparsity", reads, shape, stored.slices(len(lines), stored.RESPONSES_PER_SHARD), work)


def _unsure(run: Context, answers: Answers) -> Kept[NDArray[np.float32]] | str:
    settings, model = run.experiment.mechanism, run.chat
    asked = in_words_of(model, settings.asking)
    if isinstance(asked, str):
        return asked
    said = [
        (answers.questions[r.question_id].text, answers.responses[r.question_id, r.sample].text)
        for r in answers.labelled
    ]

    def work(rows: slice) -> NDArray[np.float32]:
        return p_unsure(model, asked, said[rows], settings.token_budget).astype(np.float32)

    reads = {"model": model.identity, "asked": asked, "said": fingerprint(said)}
    return run.store.array("unsure", reads, (len(said),), stored.slices(len(said), ASKED_PER_SHARD), work)


def _signals(measured: Measured, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """[row, signal] of all answers of a set."""
    answers = measured.answers
    baselines = answers.answer_set().baselines
    known = {
        "h_neurons": score,
        "logprob": baselines[:, 0],
        "entropy": baselines[:, 1],
        "active_share": measured.sparse.value[:, 0, 0].astype(np.float64),
        "hoyer": measured.sparse.value[:, 1, 0].astype(np.float64),
        "rarity": measured.counts,
    }
    if not isinstance(measured.unsure, str):
        known["unsure"] = measured.unsure.value.astype(np.float64)
    if not isinstance(measured.again, str):
        known["inconsistency"] = inconsistency(answers.labelled, measured.again.value)
    return as_signals(known, len(answers.labelled))


def _transfer(run: Context, probe: Probe, neurons: HNeurons, held_out: Sequence[Answers]) -> tuple[ResultRow, ...]:
    setup = run.experiment
    settings = setup.mechanism
    if not settings.transfer:
        return ()
    reads = {
        "selector": stored.described(setup.probe),
        "strength": probe.strength,
        "neurons": neurons,
        "answers": [(a.name, a.digest, fingerprint(a.labelled)) for a in held_out],
        "settings": [settings.min_per_class],
        "seed": setup.seed,
        "intervals": BOUNDARY,
    }

    def work() -> Sequence[ResultRow]:
        sets = testable(held_out)
        sources = {answers.name: _source(run, answers) for answers in held_out if answers.two_sided}
        strength, least = probe.strength, settings.min_per_class
        return list(transfer_rows(sets, sources, setup.probe, neurons, strength, least, setup.seed))

    return run.store.whole("transfer", ResultRow, reads, work).value


def _source(run: Context, answers: Answers) -> ProbeRows:
    """The rows of a set as a probe reads them: neuron by neuron from a file, where they are large."""
    rows, space = answers.rows(), answers.found.space
    if 4 * len(rows.y) * space.size <= stored.IN_MEMORY:
        return rows
    block = partial(transposed, rows.table)
    shape = (space.size, len(rows.table))
    features = run.experiment.contribution.features
    return replace(rows, by_neuron=features_in_file(run.store, {"of": answers.digest}, shape, block, features))
