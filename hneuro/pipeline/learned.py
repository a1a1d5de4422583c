"""Stages of tuning: the gains of a set by every way to learn them, a steering vector, and the risk of replies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hneuro.causal.tried import Read
from hneuro.detection.detector import Classifier
from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.pipeline.measured import pooled
from hneuro.pipeline.run import Run
from hneuro.records import BenchmarkItem, LabelledResponse, Question, Response
from hneuro.result_records import TrainedDetector
from hneuro.stage import Rows, array
from hneuro.store import Kept, fingerprint

SETTINGS = ((0.1, 0.3), (0.3, 3.0))  # rate and penalty
STEPS = (4, 12)
STEERED = 32  # contests that the vector and its norm are measured on
LONGEST = 128  # tokens of a passage that gains are learned from
TOKENS = 4096  # of a batch


def _response(model: LanguageModel, number: int, read: Read) -> Response:
    """A reply as if the model had sampled it after its prompt; `number` tells replies to a question apart."""
    ids = tuple(model.tokenizer(read.answer.replies[-1], add_special_tokens=False)["input_ids"])
    return Response(
        question_id=read.item.id,
        sample=number,
        prompt_ids=model.chat_ids(read.item.messages),
        token_ids=ids,
        text=model.text_of(ids),
        logprobs=(),
        entropies=(),
    )


@array(version=1, name="tuned_gains")
def gains(
    model: LanguageModel,
    items: Sequence[BenchmarkItem],
    facts: Sequence[tuple[str, str]],
    passages: Sequence[str],
    neurons: Sequence[int],
    seed: int,
    settings: Sequence[tuple[float, float]] = SETTINGS,
    steps: Sequence[int] = STEPS,
) -> Rows:
    """[setting, stop, neuron]: `hneuro.causal.tuning.learn`. Facts (question, answer) and passages stay likely."""

    def work(rows: slice) -> NDArray[np.float32]:
        from hneuro.causal.sweep import contest_of
        from hneuro.causal.tuning import Lessons, Setting, learn

        def ids(text: str) -> tuple[int, ...]:
            return tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"])

        asked = [(model.chat_ids(item.messages), contest_of(item, model.tokenizer)) for item in items]
        read = [tuple(model.tokenizer(passage)["input_ids"])[:LONGEST] for passage in passages]
        kept = [(model.prompt_ids(text), ids(said)) for text, said in facts]
        lessons = Lessons(
            pressed=[(prompt, contest) for prompt, contest in asked if contest],
            kept=[pair for pair in (*kept, *((one[:1], one[1:]) for one in read)) if pair[1]],
        )
        pad, ways = model.tokenizer.pad_token_id, [Setting(rate=r, penalty=p) for r, p in settings[rows]]
        return np.stack([learn(model.loaded, pad, neurons, lessons, way, steps, seed) for way in ways])

    return Rows.of((len(settings), len(steps), len(neurons)), 1, work)


@array(version=1, name="steering_vectors")
def steering_vectors(
    model: LanguageModel,
    items: Sequence[BenchmarkItem],
    neurons: Sequence[int],
    values: Sequence[float],
    layers: int,
    hidden: int,
) -> Rows:
    """[layer, hidden]: towards the right continuations after each layer, of the norm of what the gains write."""

    def work(_: slice) -> NDArray[np.float32]:
        from hneuro.causal.sweep import contest_of
        from hneuro.causal.tuning import directions, written

        asked = [(model.chat_ids(item.messages), contest_of(item, model.tokenizer)) for item in items]
        there = [(prompt, contest) for prompt, contest in asked if contest]
        norm = written(model.loaded, [prompt for prompt, _ in there], neurons, values, TOKENS)
        return (norm * directions(model.loaded, there, TOKENS)).astype(np.float32)

    return Rows.of((layers, hidden), layers, work)


def risks(
    run: Run, trained: TrainedDetector, replies: Sequence[Read], asked: Mapping[str, Question]
) -> NDArray[np.float64]:
    """[reply]: the log-odds of the run's detector; NaN where no answer is found in it."""
    chat, setup = run.chat, run.experiment
    said = [_response(chat, n, read) for n, read in enumerate(replies)]
    labelled = [
        LabelledResponse(question_id=r.question_id, group="", sample=r.sample, hallucinated=False)
        for r in said
        if r.token_ids
    ]
    kept = Kept(lambda: tuple(said), fingerprint(said))
    questions = [asked[name] for name in dict.fromkeys(r.question_id for r in said)]
    spans = {
        s.sample: s for s in stored.locate(run.store, setup.span, chat, questions, kept, labelled).value if s.tokens
    }
    found = np.full(len(replies), np.nan)
    if spans:
        sequences, positions = pooled(run, chat, [(said[n], span) for n, span in spans.items()], setup.labeling.tested)
        budget = setup.contribution.token_budget
        table = stored.columns(run.store, chat, sequences, positions, budget, trained.neurons).value
        found[list(spans)] = Classifier.of(trained).on_columns().scores(np.asarray(table))
    return found
