"""Do the H-Neurons detect hallucination on other questions, and better than random neurons and what is simpler?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import Classifier
from hneuro.detection.evaluate import DetectionSettings, detect, detect_by_baselines
from hneuro.detection.mechanism.settings import frequencies, read_counts
from hneuro.detection.rivals import Rival, RivalData, rivals
from hneuro.detection.scored import AnswerSet, Scored
from hneuro.neurons import HNeurons, Probe
from hneuro.pipeline import stored
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.measured import Answers, pooled
from hneuro.pipeline.run import Run
from hneuro.pipeline.selection import mean_contribution, neuron_sets
from hneuro.result_records import ResultRow, TrainedDetector
from hneuro.stage import stage
from hneuro.store import Kept


def detection(
    run: Run,
    probe: Probe,
    neurons: HNeurons,
    trained: TrainedDetector,
    identified: Identified,
    held_out: Sequence[Answers],
) -> tuple[ResultRow, ...]:
    setup, store = run.experiment, run.store
    fit, select = identified.fit, identified.select
    tested_on = [a for a in held_out if a.two_sided or (a.made_up and a.labelled)]
    counts = [frequency(run, answers) for answers in tested_on]
    tested = Tested(
        fit=fit, select=select, sets=tested_on, counts=counts, rivals=rivals_of(run, fit, select, tested_on)
    )
    contribution, sets = mean_contribution(store, fit), neuron_sets(run, neurons, fit)
    own = detected(store, probe, sets, trained, contribution, tested, setup.detection, setup.seed)
    return (*own.value, *baselines(store, tested).value)


@dataclass(frozen=True, kw_only=True)
class Tested:
    """What detectors are trained, thresholded and tested on, and what they are compared with."""

    fit: Answers
    select: Answers
    sets: Sequence[Answers]
    counts: Sequence[NDArray[np.float64]]  # [row] of each set
    rivals: Kept[tuple[Rival, ...]]

    def parts(self) -> tuple[AnswerSet, AnswerSet, Sequence[AnswerSet]]:
        sets = [replace(a.answer_set(), frequency=own) for a, own in zip(self.sets, self.counts, strict=True)]
        return self.fit.answer_set(), self.select.answer_set(), sets

    def others(self) -> list[Scored]:
        return [rival.scored() for rival in self.rivals.value]


@stage(ResultRow, version=1, name="detection")
def detected(
    probe: Probe,
    neuron_sets: Mapping[str, Sequence[int]],
    trained: TrainedDetector,
    contribution: Kept[NDArray[np.float32]],
    tested: Tested,
    settings: DetectionSettings,
    seed: int,
) -> Sequence[ResultRow]:
    mean = contribution.value.astype(np.float64)
    return detect(probe, neuron_sets, mean, *tested.parts(), settings, seed, tested.others(), Classifier.of(trained))


@stage(ResultRow, version=1)
def baselines(tested: Tested) -> Sequence[ResultRow]:
    """By themselves, because every cell of a sweep over probes has the same."""
    return detect_by_baselines(*tested.parts(), tested.others())


Texts = tuple[str, str, str]  # question, gold answer, what was said


def frequency(run: Run, answers: Answers) -> NDArray[np.float64]:
    """How often the training data speak of what each answer [row] is about; NaN where nobody knows."""
    settings = run.experiment.mechanism
    counts = read_counts(settings.counts) if settings.counts else None
    asked = [answers.questions[r.question_id] for r in answers.labelled]
    return frequencies(asked, counts, settings.count_field)


def hidden(run: Run, answers: Answers) -> Kept[NDArray[np.float32]]:
    """The residual stream of the answers [row, layer, hidden] where detectors read. One more forward pass."""
    sequences, positions = pooled(run, run.chat, answers.said(), answers.tested)
    space = stored.spaces(run.store, run.chat).value[1]
    return stored.residual(run.store, run.chat, sequences, positions, run.experiment.contribution.token_budget, space)


def rivals_of(run: Run, fit: Answers, select: Answers, sets: Sequence[Answers]) -> Kept[tuple[Rival, ...]]:
    """The same for every probe on these answers."""
    every = (fit, select, *sets)
    texts, kinds = [_texts(a) for a in every], [[r.hallucinated for r in a.labelled] for a in every]
    return trained_rivals(run.store, texts, kinds, [hidden(run, answers) for answers in every])


@stage(Rival, version=1, name="rivals")
def trained_rivals(
    texts: Sequence[Sequence[Texts]], kinds: Sequence[Sequence[bool]], states: Sequence[Kept[NDArray[np.float32]]]
) -> Sequence[Rival]:
    """Of the fit split, the select split and the others: who hallucinated, what was said, and the residual stream."""
    data = [_rival_data(*own) for own in zip(texts, kinds, states, strict=True)]
    return list(rivals(data[0], data[1], data[2:]))


def _texts(answers: Answers) -> tuple[Texts, ...]:
    """Question, gold answer and what was said, of each answer."""
    return tuple(
        (
            answers.questions[r.question_id].text,
            next(iter(answers.questions[r.question_id].answers), ""),
            answers.spans[r.question_id, r.sample].text,
        )
        for r in answers.labelled
    )


def _rival_data(texts: Sequence[Texts], wrong: Sequence[bool], read: Kept[NDArray[np.float32]]) -> RivalData:
    questions, gold, said = (tuple(text[place] for text in texts) for place in range(3))
    return RivalData(y=np.array(wrong, dtype=np.int8), questions=questions, gold=gold, said=said, hidden=read.value)
