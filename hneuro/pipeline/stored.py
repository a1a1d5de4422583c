"""The long stages, each in the shards in which it is computed: what is said, judged, located and measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hneuro.contributions.regions import averages
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import NeuronSpace
from hneuro.probe.solver import FeatureMatrix, Precision, stored_form, transposed
from hneuro.records import AnswerSpan, Judgement, LabelledResponse, Question, Response, Verdict
from hneuro.responses.sampler import Sampler
from hneuro.spans.base import SpanLocator
from hneuro.stage import Rows, Shards, array, arrays, sharded, stage
from hneuro.store import Kept, Store
from hneuro.verdicts.base import Judge

SAMPLES_PER_SHARD = 160
RESPONSES_PER_SHARD = 128
RESPONSES_PER_VERDICT_SHARD = 512
SHARD_BYTES = 256 << 20  # of an array, at most
STRIPE_BYTES = 128 << 20  # of the probe's copy of a large set
IN_MEMORY = 512 << 20  # bytes of contributions above which the probe reads a file of them by neuron

Questions = Sequence[Question]
Responses = Kept[tuple[Response, ...]]
Sequences = Sequence[Sequence[int]]  # ids of prompt + response
Positions = Sequence[Sequence[Sequence[int]]]  # [response][region]: places in prompt + response


def _asked(questions: Questions, **_: Any) -> Any:
    return [(q.dataset, q.id, q.text, *q.options) for q in questions]


def _gold(questions: Questions, **_: Any) -> Any:
    own = [(q.id, q.answers, q.answerable, *q.options) for q in questions]
    return [own, sorted({q.candidates for q in questions})]


def _stated(questions: Questions, labelled: Sequence[LabelledResponse], **_: Any) -> Any:
    asked = {q.id: q for q in questions}
    return [(q.id, q.text, q.answers, *q.options) for q in (asked[r.question_id] for r in labelled)]


def _keys(labelled: Sequence[LabelledResponse], **_: Any) -> Any:
    return [(r.question_id, r.sample) for r in labelled]


def _answering(sampler: Sampler, model: LanguageModel, **_: Any) -> Mapping[str, Any]:
    return sampler.reads(model)


def _weights(model: LanguageModel, **_: Any) -> Any:
    return model.asked["weights"]


@sharded(Response, version=1, name="responses", reads={"model": _answering, "questions": _asked}, aside=("ready",))
def sample(
    model: LanguageModel,
    sampler: Sampler,
    questions: Questions,
    samples: int,
    seed: int,
    first: int = 0,
    ready: Callable[[], None] = lambda: None,
) -> Shards[Response]:
    """Samples `first` to `samples` of each question. `ready` is called before anything is sampled: it refuses a run
    that could not use the samples.
    """

    def work(shard: Questions) -> Sequence[Response]:
        ready()
        return sampler.sample(model, shard, samples, seed, first)

    return Shards.of(questions, max(1, SAMPLES_PER_SHARD // (samples - first)), work)


@sharded(Judgement, version=1, name="verdicts", reads={"questions": _gold})
def judge(part: Judge, questions: Questions, responses: Responses) -> Shards[Judgement]:
    asked = {q.id: q for q in questions}

    def work(shard: Sequence[Response]) -> Sequence[Judgement]:
        judged = iter(part.judge([(asked[r.question_id], r) for r in shard if not r.lost]))
        return [_unjudged(r) if r.lost else next(judged) for r in shard]

    return Shards.of(responses.value, RESPONSES_PER_VERDICT_SHARD, work)


def _unjudged(lost: Response) -> Judgement:
    return Judgement(
        question_id=lost.question_id, sample=lost.sample, verdict=Verdict.UNJUDGED, judge="none", reason=lost.lost
    )


def _tokenizer(model: LanguageModel, **_: Any) -> Any:
    return model.identity["weights"]


@sharded(AnswerSpan, version=1, name="spans", reads={"model": _tokenizer, "questions": _stated, "labelled": _keys})
def locate(
    part: SpanLocator,
    model: LanguageModel,
    questions: Questions,
    responses: Responses,
    labelled: Sequence[LabelledResponse],
) -> Shards[AnswerSpan]:
    asked = {q.id: q for q in questions}
    said = {(r.question_id, r.sample): r for r in responses.value}

    def work(shard: Sequence[LabelledResponse]) -> Sequence[AnswerSpan]:
        return part.locate([(asked[r.question_id], said[r.question_id, r.sample]) for r in shard], model.text_of)

    return Shards.of(labelled, RESPONSES_PER_SHARD, work)


@array(version=2)
def contributions(
    model: LanguageModel, sequences: Sequences, positions: Positions, token_budget: int, regions: int, size: int
) -> Rows:
    """[response, region, neuron]: CETT averaged over the positions of each region, of all `size` neurons."""

    def work(rows: slice) -> NDArray[np.float32]:
        return _extracted(model, sequences[rows], positions[rows], token_budget)

    most = max(1, SHARD_BYTES // (4 * regions * size))
    return Rows.of((len(sequences), regions, size), min(RESPONSES_PER_SHARD, most), work)


@array(version=2)
def columns(
    model: LanguageModel, sequences: Sequences, positions: Positions, token_budget: int, neurons: Sequence[int]
) -> Rows:
    """[response, neuron]: CETT of a few neurons at the one region, where nobody reads the others."""

    def work(rows: slice) -> NDArray[np.float32]:
        return _extracted(model, sequences[rows], positions[rows], token_budget, neurons)[:, 0]

    return Rows.of((len(sequences), len(neurons)), RESPONSES_PER_SHARD, work)


def _extracted(
    model: LanguageModel, sequences: Sequences, positions: Positions, budget: int, only: Sequence[int] | None = None
) -> NDArray[np.float32]:
    from hneuro.contributions.extract import extract

    weights = [averages(own, len(ids)) for ids, own in zip(sequences, positions, strict=True)]
    return extract(model.loaded, sequences, weights, budget, only=only)


@array(version=2)
def residual(
    model: LanguageModel, sequences: Sequences, positions: Positions, token_budget: int, space: NeuronSpace
) -> Rows:
    """[response, layer, hidden]: the residual stream, averaged over the positions of the one region."""

    def work(rows: slice) -> NDArray[np.float32]:
        from hneuro.contributions.extract import residual

        weights = [averages(own, len(ids))[0] for ids, own in zip(sequences[rows], positions[rows], strict=True)]
        return residual(model.loaded, sequences[rows], weights, token_budget)

    return Rows.of((len(sequences), space.n_layers, space.width), RESPONSES_PER_SHARD, work)


@stage(NeuronSpace, version=1, reads={"model": _weights})
def shapes(model: LanguageModel) -> Sequence[NeuronSpace]:
    """From the checkpoint's config alone, before any weight is read."""
    from hneuro.models.ffn import find_ffn
    from hneuro.models.load import empty_model

    return [find_ffn(empty_model(model.source)).space]


def shape_of(store: Store, model: LanguageModel) -> NeuronSpace:
    return shapes(store, model).value[0]


@stage(NeuronSpace, version=1, name="neurons")
def spaces(model: LanguageModel) -> Sequence[NeuronSpace]:
    """The FFN neurons, and the residual stream between the layers: kept, so that a finished run loads no model."""
    config = model.loaded.model.config.get_text_config()
    return [model.loaded.ffn.space, NeuronSpace(n_layers=config.num_hidden_layers, width=config.hidden_size)]


def neuron_space(store: Store, model: LanguageModel) -> NeuronSpace:
    return spaces(store, model).value[0]


def is_large(rows: int, neurons: int) -> bool:
    """Whether a file by neuron is worth its space."""
    return 4 * rows * neurons > IN_MEMORY


def by_neuron(store: Store, contributions: Kept[NDArray[np.float32]], precision: Precision) -> FeatureMatrix:
    """Contributions [response, region, neuron] transposed out of core: [neuron, response and region]."""
    table = contributions.value.reshape(-1, contributions.value.shape[-1])
    return features_in_file(store, contributions, (table.shape[1], len(table)), partial(transposed, table), precision)


def features_in_file(
    store: Store,
    of: Any,
    shape: tuple[int, int],
    block: Callable[[slice], NDArray[np.float32]],
    precision: Precision = "float32",
) -> FeatureMatrix:
    """A feature matrix of `shape` (neurons, rows) in the store, from `block`: some neurons -> [neuron, row].

    `of` identifies the rows. A killed run resumes after the last finished stripe; no more than a stripe is held.
    UserError on NaN and infinity.
    """
    kept = features(store, of, shape, block, precision)
    return FeatureMatrix(kept.value["values"], kept.value["moments"].T)


@arrays(version=1, aside=("block",))
def features(
    of: Any,  # noqa: ARG001 - the key
    shape: tuple[int, int],
    block: Callable[[slice], NDArray[np.float32]],
    precision: Precision,
) -> Rows:
    neurons, rows = shape

    def work(stripe: slice) -> Mapping[str, NDArray[Any]]:
        values, moments = stored_form(block(stripe), stripe.start, precision)
        return {"values": values, "moments": moments.T}

    kinds = {"values": (shape, str(precision)), "moments": ((neurons, 4), "float64")}
    return Rows(kinds, STRIPE_BYTES // (4 * rows), work)
