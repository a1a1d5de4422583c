"""What detection is set beside, from the store: other readings of the same answers, and counts of the training data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.mechanism.frequency import frequencies, read_counts
from hneuro.detection.rivals import Rival, Told, rivals
from hneuro.stage import stage
from hneuro.steps import stored
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers, pooled
from hneuro.store import Kept

Texts = tuple[str, str, str]  # question, gold answer, what was said


def frequency(run: Context, answers: Answers) -> NDArray[np.float64]:
    """How often the training data speak of what each answer [row] is about; NaN where nobody knows."""
    settings = run.experiment.mechanism
    counts = read_counts(settings.counts) if settings.counts else None
    asked = [answers.questions[r.question_id] for r in answers.labelled]
    return frequencies(asked, counts, settings.count_field)


def hidden(run: Context, answers: Answers) -> Kept[NDArray[np.float32]]:
    """The residual stream of the answers [row, layer, hidden] where detectors read. One more forward pass."""
    sequences, positions = pooled(run, run.chat, answers.said(), answers.tested)
    space = stored.spaces(run.store, run.chat).value[1]
    return stored.residual(run.store, run.chat, sequences, positions, run.experiment.contribution.token_budget, space)


def rivals_of(run: Context, fit: Answers, select: Answers, sets: Sequence[Answers]) -> Kept[tuple[Rival, ...]]:
    """The same for every probe on these answers."""
    every = (fit, select, *sets)
    texts, kinds = [_texts(a) for a in every], [[r.hallucinated for r in a.labelled] for a in every]
    return found(run.store, texts, kinds, [hidden(run, answers) for answers in every])


@stage(Rival, version=1, name="rivals")
def found(
    texts: Sequence[Sequence[Texts]], kinds: Sequence[Sequence[bool]], states: Sequence[Kept[NDArray[np.float32]]]
) -> Sequence[Rival]:
    """Of the fit split, the select split and the others: who hallucinated, what was said, and the residual stream."""
    told = [_told(*own) for own in zip(texts, kinds, states, strict=True)]
    return list(rivals(told[0], told[1], told[2:]))


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


def _told(texts: Sequence[Texts], wrong: Sequence[bool], read: Kept[NDArray[np.float32]]) -> Told:
    questions, gold, said = (tuple(text[place] for text in texts) for place in range(3))
    return Told(y=np.array(wrong, dtype=np.int8), questions=questions, gold=gold, said=said, hidden=read.value)
