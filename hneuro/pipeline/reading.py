"""What people read next to the numbers: coloured responses, and the facts of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro import __version__
from hneuro.contributions.regions import reading_weights
from hneuro.detection.detector import Classifier
from hneuro.experiment import Experiment
from hneuro.models.gguf import GgufSource
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import HNeurons
from hneuro.pipeline.measured import Answers, pooled
from hneuro.pipeline.run import Run
from hneuro.records import AnswerSpan, Judgement, Question, Response, Verdict
from hneuro.responses.vllm import VllmSampler
from hneuro.result_records import ColouredResponse, PathPoint, TrainedDetector
from hneuro.spans.tokens import token_texts
from hneuro.stage import stage

SHOWN_PER_KIND = 4


@dataclass(frozen=True, kw_only=True)
class _Shown:
    """An answer that the report shows, and where the detector reads it."""

    dataset: str
    question: Question
    response: Response
    span: AnswerSpan
    hallucinated: bool
    stated: Sequence[int]  # places in prompt + response


def coloured(run: Run, trained: TrainedDetector, held_out: Sequence[Answers]) -> tuple[ColouredResponse, ...]:
    """A few hallucinated and faithful responses of each held-out set, with the detector's risk at each token."""
    shown = [item for answers in held_out for item in _shown(run, answers)]
    return risks(run.store, run.chat, trained, shown, run.experiment.contribution.token_budget).value


def _shown(run: Run, answers: Answers) -> Iterator[_Shown]:
    for kind in (True, False):
        items = [r for r in answers.labelled if r.hallucinated is kind][:SHOWN_PER_KIND]
        some = replace(answers, labelled=tuple(items))
        _, positions = pooled(run, run.chat, some.said(), answers.tested)
        for item, (response, span), (stated,) in zip(items, some.said(), positions, strict=True):
            yield _Shown(
                dataset=answers.name,
                question=answers.questions[item.question_id],
                response=response,
                span=span,
                hallucinated=kind,
                stated=stated,
            )


@stage(ColouredResponse, version=2, name="coloured")
def risks(
    model: LanguageModel, trained: TrainedDetector, shown: Sequence[_Shown], token_budget: int
) -> Sequence[ColouredResponse]:
    from hneuro.contributions.extract import extract

    detector = Classifier.of(trained)
    sequences = [(*item.response.prompt_ids, *item.response.token_ids) for item in shown]
    pooling = [
        reading_weights(len(item.response.prompt_ids), len(item.response.token_ids), item.stated, trained.position)
        for item in shown
    ]
    most = max((len(weights) for weights in pooling), default=0)
    even = [np.pad(weights, ((0, most - len(weights)), (0, 0))) for weights in pooling]
    read = extract(model.loaded, sequences, even, token_budget, only=detector.columns)
    found = [detector.on_columns().risk(x[: len(own)]) for x, own in zip(read, pooling, strict=True)]
    return [_coloured(model, item, own) for item, own in zip(shown, found, strict=True)]


def _coloured(model: LanguageModel, item: _Shown, risk: NDArray[np.float64]) -> ColouredResponse:
    right = Verdict.CORRECT if item.question.answerable else Verdict.REFUSED
    ids = item.response.token_ids
    return ColouredResponse(
        dataset=item.dataset,
        question=item.question.text,
        gold=item.question.answers,
        verdict=Verdict.WRONG if item.hallucinated else right,
        tokens=tuple(token_texts(ids, model.text_of)),
        risks=tuple(float(r) for r in risk[:-1]),
        in_answer=tuple(n in set(item.span.tokens) for n in range(len(ids))),
        score=float(risk[-1]),
    )


def edit_of(model: LanguageModel) -> str:
    """The edit that it was given when it was loaded, if any, and whether it was meant for another model."""
    if model.patch is None:
        return ""
    elsewhere = "" if model.patch.weights == model.source.identity() else ", found on other weights"
    return f", edited: {model.patch.brief}{elsewhere}"


def _precision(run: Run) -> str:
    """What the weights are computed in, and what they went through before."""
    setup = run.experiment.model
    if not isinstance(setup.chat, GgufSource):
        return setup.dtype
    return f"{setup.dtype}, dequantised from GGUF {setup.chat.quantisation()}".rstrip()


def facts_of(
    run: Run, neurons: HNeurons, path: Sequence[PathPoint], judged: Sequence[tuple[Question, Response, Judgement]]
) -> dict[str, str]:
    """What was used, a line each."""
    setup = run.experiment
    chosen = next(point for point in path if point.chosen)
    kinds = {"ranking": "{:g} best neurons", "attribution": "{:g} that raise the log-odds of the planted answer most"}
    strength = kinds.get(neurons.selection, "C = {:g} x the smallest that selects")
    count = len(neurons.neurons)
    return {
        "model": f"{setup.model.name} ({_precision(run)}, {neurons.space.size:,} FFN neurons{edit_of(run.chat)})",
        "questions": f"{setup.dataset}; held out by {setup.splits.by}",
        "sampling": f"{setup.sampling.samples} responses a question{_unseeded(setup)}",
        "labeling": f"{setup.labeling.name}; CETT read at the {_read_at(setup)}",
        "selection": f"{neurons.selection}, {strength.format(chosen.strength)}",
        "choice": setup.choice.criterion,
        "H-Neurons": f"{count} ({neurons.per_mille:.3g} per mille of all)",
        "controls": f"{setup.detection.control_seeds} sets for detection, {setup.intervention.control_seeds} for alpha",
        "judge": ", ".join(dict.fromkeys(j.judge for _, response, j in judged if not response.lost)),
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
