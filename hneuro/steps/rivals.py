"""What detection is set beside, from the store: other readings of the same answers, and counts of the training data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro.contributions.regions import region_weights
from hneuro.detection.mechanism.settings import frequencies, read_counts
from hneuro.detection.rivals import Rival, Told, rivals
from hneuro.neurons import NeuronSpace
from hneuro.steps import stored
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.store import Kept, fingerprint

CHOSEN = "layer and strength on select"  # how, for the key of what is kept


def frequency(run: Context, answers: Answers) -> NDArray[np.float64]:
    """How often the training data speak of what each answer [row] is about; NaN where nobody knows."""
    settings = run.experiment.mechanism
    counts = read_counts(settings.counts) if settings.counts else None
    asked = [answers.questions[r.question_id] for r in answers.labelled]
    return frequencies(asked, counts, settings.count_field)


def hidden(run: Context, answers: Answers) -> Kept[NDArray[np.float32]]:
    """The residual stream of the answers [row, layer, hidden] where detectors read. One more forward pass."""
    model, settings = run.chat, run.experiment.contribution
    keys = [(r.question_id, r.sample) for r in answers.labelled]
    said, spans = [answers.responses[k] for k in keys], [answers.spans[k] for k in keys]
    reads = {
        "model": model.identity,
        "region": answers.tested,
        "position": settings.position,
        "special_tokens": settings.special_tokens,
        "token_budget": settings.token_budget,
        "sequences": fingerprint([(r.prompt_ids, r.token_ids) for r in said]),
        "spans": fingerprint([s.tokens for s in spans]),
    }
    line = settings.regions.index(answers.tested)

    def work(rows: slice) -> NDArray[np.float32]:
        from hneuro.contributions.extract import residual

        chosen = list(zip(said[rows], spans[rows], strict=True))
        pooled = [region_weights(r, s, settings, model.special_ids)[line] for r, s in chosen]
        sequences = [(*r.prompt_ids, *r.token_ids) for r, _ in chosen]
        return residual(model.loaded, sequences, pooled, settings.token_budget)

    space = _residual_space(run)
    shape = (len(keys), space.n_layers, space.width)
    return run.store.array("residual", reads, shape, stored.slices(len(keys), stored.RESPONSES_PER_SHARD), work)


def _residual_space(run: Context) -> NeuronSpace:
    """Layers, and the width of the stream between them: remembered, so that a finished run need not ask the model."""

    def work() -> Sequence[NeuronSpace]:
        config = run.chat.loaded.model.config.get_text_config()
        return [NeuronSpace(n_layers=config.num_hidden_layers, width=config.hidden_size)]

    return run.store.whole("residual_space", NeuronSpace, {"model": run.chat.identity}, work).value[0]


def rivals_of(run: Context, fit: Answers, select: Answers, sets: Sequence[Answers]) -> Kept[tuple[Rival, ...]]:
    """The same for every probe on these answers."""
    read = [hidden(run, answers) for answers in (fit, select, *sets)]
    reads = {
        "answers": [(a.name, a.digest, fingerprint(a.labelled)) for a in (fit, select, *sets)],
        "said": [fingerprint(_texts(a)) for a in (fit, select, *sets)],
        "hidden": [kept.digest for kept in read],
        "chosen": CHOSEN,
    }

    def work() -> Sequence[Rival]:
        told = [_told(answers, kept.value) for answers, kept in zip((fit, select, *sets), read, strict=True)]
        return list(rivals(told[0], told[1], told[2:]))

    return run.store.whole("rivals", Rival, reads, work)


def _texts(answers: Answers) -> tuple[tuple[str, str, str], ...]:
    """Question, gold answer and what was said, of each answer."""
    return tuple(
        (
            answers.questions[r.question_id].text,
            next(iter(answers.questions[r.question_id].answers), ""),
            answers.spans[r.question_id, r.sample].text,
        )
        for r in answers.labelled
    )


def _told(answers: Answers, read: NDArray[np.float32]) -> Told:
    texts = _texts(answers)
    y = np.array([r.hallucinated for r in answers.labelled], dtype=np.int8)
    questions, gold, said = (tuple(text[place] for text in texts) for place in range(3))
    return Told(y=y, questions=questions, gold=gold, said=said, hidden=read)
