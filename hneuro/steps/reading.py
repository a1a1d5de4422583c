"""What people read beside the numbers: coloured responses, and the facts of the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro import __version__
from hneuro.detection.evaluate import neuron_detector
from hneuro.experiment import Experiment
from hneuro.models.gguf import GgufSource
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import HNeurons
from hneuro.records import LabelledResponse, Verdict
from hneuro.responses.vllm import VllmSampler
from hneuro.result_records import ColouredResponse, PathPoint
from hneuro.spans.tokens import token_texts
from hneuro.steps.answers import Identified
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.store import fingerprint

SHOWN_PER_KIND = 4


def coloured(
    run: Context, neurons: HNeurons, identified: Identified, held_out: Sequence[Answers]
) -> tuple[ColouredResponse, ...]:
    """A few hallucinated and faithful responses of each held-out set, with the detector's risk at each token."""
    reads = {
        "model": run.chat.identity,
        "neurons": neurons,
        "fit": [identified.fit.digest, fingerprint(identified.fit.labelled)],
        "shown": [(a.digest, fingerprint(_shown(a))) for a in held_out],
    }

    def work() -> list[ColouredResponse]:
        from hneuro.contributions.extract import extract

        detector = neuron_detector(neurons.neurons, identified.fit.answer_set(), identified.select.answer_set())
        items = [(answers, item) for answers in held_out for item in _shown(answers)]
        sequences = [_sequence(answers, item) for answers, item in items]
        pooling = [_pooling(run, answers, item) for answers, item in items]
        most = max((len(weights) for weights in pooling), default=0)
        even = [np.pad(weights, ((0, most - len(weights)), (0, 0))) for weights in pooling]
        budget = run.experiment.contribution.token_budget
        read = extract(run.chat.loaded, sequences, even, budget, only=detector.columns)
        risks = [detector.on_columns().risk(x[: len(own)]) for x, own in zip(read, pooling, strict=True)]
        return [_coloured(run, answers, item, own) for (answers, item), own in zip(items, risks, strict=True)]

    return run.store.whole("coloured", ColouredResponse, reads, work).value


def _shown(answers: Answers) -> list[LabelledResponse]:
    wrong = [r for r in answers.labelled if r.hallucinated][:SHOWN_PER_KIND]
    right = [r for r in answers.labelled if not r.hallucinated][:SHOWN_PER_KIND]
    return [*wrong, *right]


def _sequence(answers: Answers, item: LabelledResponse) -> tuple[int, ...]:
    response = answers.responses[item.question_id, item.sample]
    return (*response.prompt_ids, *response.token_ids)


def _pooling(run: Context, answers: Answers, item: LabelledResponse) -> NDArray[np.float32]:
    """Where the detector reads: at each token of the response, and last at the answer as a whole [reading, token]."""
    from hneuro.contributions.regions import averages, region_weights

    key = (item.question_id, item.sample)
    response, span = answers.responses[key], answers.spans[key]
    begin, length = len(response.prompt_ids), len(response.token_ids)
    settings = run.experiment.contribution
    # The position that the detector reads: a token's own, or the one before it.
    shift = 1 if settings.position == "predicting" or answers.tested == "last_prompt" else 0
    each = averages([[begin + n - shift] for n in range(length)], begin + length)
    whole = region_weights(response, span, settings, run.chat.special_ids)[[settings.regions.index(answers.tested)]]
    return np.concatenate([each, whole])


def _coloured(run: Context, answers: Answers, item: LabelledResponse, risks: NDArray[np.float64]) -> ColouredResponse:
    key = (item.question_id, item.sample)
    response, span, question = answers.responses[key], answers.spans[key], answers.questions[item.question_id]
    refused = not question.answerable
    return ColouredResponse(
        dataset=answers.name,
        question=question.text,
        gold=question.answers,
        verdict=Verdict.WRONG if item.hallucinated else Verdict.REFUSED if refused else Verdict.CORRECT,
        tokens=tuple(token_texts(response.token_ids, run.chat.text_of)),
        risks=tuple(float(r) for r in risks[:-1]),
        in_answer=tuple(n in set(span.tokens) for n in range(len(response.token_ids))),
        score=float(risks[-1]),
    )


def edit_of(model: LanguageModel) -> str:
    """The edit that it was given when it was loaded, if any, and whether it was meant for another model."""
    if model.patch is None:
        return ""
    elsewhere = "" if model.patch.weights == model.source.identity() else ", found on other weights"
    return f", edited: {model.patch.brief}{elsewhere}"


def _precision(run: Context) -> str:
    """What the weights are computed in, and what they went through before."""
    setup = run.experiment.model
    if not isinstance(setup.chat, GgufSource):
        return setup.dtype
    return f"{setup.dtype}, dequantised from GGUF {setup.chat.quantisation()}".rstrip()


def facts_of(run: Context, neurons: HNeurons, path: Sequence[PathPoint]) -> dict[str, str]:
    """What was used, a line each."""
    setup = run.experiment
    chosen = next(point for point in path if point.chosen)
    strength = "C = {:g} x the smallest that selects" if neurons.selection != "ranking" else "{:g} best neurons"
    count = len(neurons.neurons)
    return {
        "model": f"{setup.model.name} ({_precision(run)}, {neurons.space.size:,} FFN neurons{edit_of(run.chat)})",
        "questions": f"{setup.dataset}; held out by entity",
        "sampling": f"{setup.sampling.samples} responses a question{_unseeded(setup)}",
        "labeling": f"{setup.labeling.name}; CETT read at the {_read_at(setup)}",
        "selection": f"{neurons.selection}, {strength.format(chosen.strength)}",
        "choice": setup.choice.criterion,
        "H-Neurons": f"{count} ({neurons.per_mille:.3g} per mille of all)",
        "controls": f"{setup.detection.control_seeds} sets for detection, {setup.intervention.control_seeds} for alpha",
        "judge": ", ".join(dict.fromkeys(j.judge for _, response, j in run.judged if not response.lost)),
        "seed": str(setup.seed),
        "hneuro": __version__,
    }


def _unseeded(setup: Experiment) -> str:
    plain = not isinstance(setup.sampling, VllmSampler) or setup.sampling.seeded
    return "" if plain else ", drawn without seeds of their own: not independent of one another"


def _read_at(setup: Experiment) -> str:
    if setup.labeling.tested == "last_prompt":
        return "last prompt token"
    return "answer tokens" if setup.contribution.position == "token" else "positions that predict the answer tokens"
