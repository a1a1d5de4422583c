"""The long stages bound to the store: what each of them reads, and in which shards it is computed.

The science is in the folders; here is only what makes a stage resumable, and its key exact.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hneuro.contributions.regions import ContributionSettings, region_weights
from hneuro.models.language_model import LanguageModel
from hneuro.neurons import Contributions, NeuronSpace, Probe, ProbeRows
from hneuro.origin.kinds import PARTS
from hneuro.probe.selectors import Selector
from hneuro.records import AnswerSpan, Judgement, LabelledResponse, Question, Response, Verdict
from hneuro.responses.sampler import Sampler
from hneuro.spans.base import SpanLocator
from hneuro.steps.features import by_neuron
from hneuro.store import Kept, Store, fingerprint
from hneuro.verdicts.base import Judge

log = logging.getLogger(__name__)

T = TypeVar("T")
SAMPLES_PER_SHARD = 320
RESPONSES_PER_SHARD = 128
SHARD_BYTES = 256 << 20  # of an array, at most
IN_MEMORY = 512 << 20  # bytes of contributions above which the probe reads a file of them by neuron
RESPONSES_PER_VERDICT_SHARD = 512


def described(part: Any) -> dict[str, Any]:
    """A part for a key: its class and its fields."""
    return {"part": f"{type(part).__module__}.{type(part).__qualname__}", "fields": part}


def chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def slices(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def sample(
    store: Store,
    model: LanguageModel,
    sampler: Sampler,
    questions: Sequence[Question],
    samples: int,
    seed: int,
    *,
    first: int = 0,
    ready: Callable[[], None] = lambda: None,
) -> Kept[tuple[Response, ...]]:
    """Samples `first` to `samples` of each question. `ready` is called before anything is sampled: it refuses a run
    that could not use the samples.
    """
    reads = {
        "model": sampler.reads(model),
        "sampler": described(sampler),
        "samples": [first, samples],
        "seed": seed,
        "questions": fingerprint([(q.dataset, q.id, q.text, *q.options) for q in questions]),
    }

    def work(shard: Sequence[Question]) -> Sequence[Response]:
        ready()
        return sampler.sample(model, shard, samples, seed, first)

    return store.records(
        "responses",
        Response,
        reads,
        chunks(questions, max(1, SAMPLES_PER_SHARD // (samples - first))),
        work,
    )


def judge(
    store: Store, part: Judge, questions: Sequence[Question], responses: Kept[tuple[Response, ...]]
) -> Kept[tuple[Judgement, ...]]:
    asked = {q.id: q for q in questions}
    reads = {
        "judge": described(part),
        "responses": responses.digest,
        "gold": fingerprint([(q.id, q.answers, q.answerable, *q.options) for q in questions]),
        "candidates": fingerprint(sorted({q.candidates for q in questions})),
    }

    def work(shard: Sequence[Response]) -> Sequence[Judgement]:
        judged = iter(part.judge([(asked[r.question_id], r) for r in shard if not r.lost]))
        return [_unjudged(r) if r.lost else next(judged) for r in shard]

    return store.records("verdicts", Judgement, reads, chunks(responses.value, RESPONSES_PER_VERDICT_SHARD), work)


def _unjudged(lost: Response) -> Judgement:
    return Judgement(
        question_id=lost.question_id, sample=lost.sample, verdict=Verdict.UNJUDGED, judge="none", reason=lost.lost
    )


def locate(
    store: Store,
    part: SpanLocator,
    model: LanguageModel,
    questions: Sequence[Question],
    responses: Kept[tuple[Response, ...]],
    labelled: Sequence[LabelledResponse],
) -> Kept[tuple[AnswerSpan, ...]]:
    asked = {q.id: q for q in questions}
    said = {(r.question_id, r.sample): r for r in responses.value}
    reads = {
        "locator": described(part),
        "responses": responses.digest,
        "of": fingerprint([(r.question_id, r.sample) for r in labelled]),
        "tokenizer": model.identity["weights"],
        "asked": fingerprint([(q.id, q.text, q.answers, *q.options) for q in (asked[r.question_id] for r in labelled)]),
    }

    def work(shard: Sequence[LabelledResponse]) -> Sequence[AnswerSpan]:
        return part.locate([(asked[r.question_id], said[r.question_id, r.sample]) for r in shard], model.text_of)

    return store.records("spans", AnswerSpan, reads, chunks(labelled, RESPONSES_PER_SHARD), work)


def contribute(
    store: Store,
    model: LanguageModel,
    settings: ContributionSettings,
    responses: Sequence[Response],
    spans: Sequence[AnswerSpan],
    *,
    for_probe: bool,
) -> Kept[Contributions]:
    """Pooled CETT of the responses, whose spans have all been located; `for_probe`: also by neuron, if it is much."""
    reads = {
        "model": model.identity,
        "settings": replace(settings, features="float32"),
        "sequences": fingerprint([(r.prompt_ids, r.token_ids) for r in responses]),
        "spans": fingerprint([s.tokens for s in spans]),
    }
    space = neuron_space(store, model)

    def work(rows: slice) -> NDArray[np.float32]:
        from hneuro.contributions.extract import extract

        chosen = list(zip(responses[rows], spans[rows], strict=True))
        return extract(
            model.loaded,
            [(*r.prompt_ids, *r.token_ids) for r, _ in chosen],
            [region_weights(r, s, settings, model.special_ids) for r, s in chosen],
            settings.token_budget,
        )

    shape = (len(spans), len(settings.regions), space.size)
    most = max(1, SHARD_BYTES // (4 * len(settings.regions) * space.size))
    kept = store.array("contributions", reads, shape, slices(len(spans), min(RESPONSES_PER_SHARD, most)), work)
    keys = tuple((s.question_id, s.sample) for s in spans)

    def found() -> Contributions:
        large = for_probe and 4 * math.prod(shape) > IN_MEMORY
        return Contributions(
            values=kept.value,
            keys=keys,
            regions=settings.regions,
            space=space,
            by_neuron=by_neuron(store, kept, settings.features) if large else None,
        )

    return Kept(found, kept.digest)


def columns(
    store: Store,
    model: LanguageModel,
    settings: ContributionSettings,
    region: str,
    responses: Sequence[Response],
    spans: Sequence[AnswerSpan],
    neurons: Sequence[int],
) -> Kept[NDArray[np.float32]]:
    """Pooled CETT of a few neurons at one region [response, neuron], where nobody reads the others."""
    reads = {
        "model": model.identity,
        "settings": replace(settings, features="float32"),
        "region": region,
        "neurons": fingerprint(neurons),
        "sequences": fingerprint([(r.prompt_ids, r.token_ids) for r in responses]),
        "spans": fingerprint([s.tokens for s in spans]),
    }
    line = settings.regions.index(region)

    def work(rows: slice) -> NDArray[np.float32]:
        from hneuro.contributions.extract import extract

        chosen = list(zip(responses[rows], spans[rows], strict=True))
        pooled = [region_weights(r, s, settings, model.special_ids)[line : line + 1] for r, s in chosen]
        sequences = [(*r.prompt_ids, *r.token_ids) for r, _ in chosen]
        return extract(model.loaded, sequences, pooled, settings.token_budget, only=neurons)[:, 0]

    shape = (len(spans), len(neurons))
    return store.array("columns", reads, shape, slices(len(spans), RESPONSES_PER_SHARD), work)


def shape_of(store: Store, model: LanguageModel) -> NeuronSpace:
    """`neuron_space` from the checkpoint's config alone, before any weight is read."""
    from hneuro.models.ffn import find_ffn
    from hneuro.models.load import empty_model

    reads = {"weights": model.asked["weights"]}
    return store.whole("shapes", NeuronSpace, reads, lambda: [find_ffn(empty_model(model.source)).space]).value[0]


def neuron_space(store: Store, model: LanguageModel) -> NeuronSpace:
    """Remembered in the store, so that a finished run need not load the model to know its shape."""
    kept = store.whole("neurons", NeuronSpace, {"model": model.identity}, lambda: [model.loaded.ffn.space])
    return kept.value[0]


def probe_path(
    store: Store, selector: Selector, rows: ProbeRows, made_from: Mapping[str, Any], seed: int
) -> Kept[tuple[Probe, ...]]:
    """The selection path; `made_from` identifies the rows. Weights are kept in float32."""
    reads = {"selector": described(selector), "rows": made_from, "seed": seed}

    def work(_: slice) -> NDArray[np.float32]:
        path = selector.path(rows, seed)
        table = [np.concatenate([p.weight, [p.bias, np.nan if p.gap is None else p.gap]]) for p in path]
        return np.stack(table).astype(np.float32)

    strengths = len(selector.strengths)
    kept = store.array("probe", reads, (strengths, rows.space.size + 2), [slice(0, strengths)], work)
    probes = tuple(
        Probe(
            weight=np.asarray(line[:-2], dtype=np.float64),
            bias=float(line[-2]),
            strength=strength,
            space=rows.space,
            gap=None if np.isnan(line[-1]) else float(line[-1]),
        )
        for line, strength in zip(kept.value, sorted(selector.strengths), strict=True)
    )
    return Kept(lambda: probes, kept.digest)


def distances(store: Store, chat: LanguageModel, base: LanguageModel) -> Kept[NDArray[np.float64]]:
    """How far each part of each neuron's weights is from another model's [part, neuron]."""
    reads = {"chat": chat.identity["weights"], "base": base.identity["weights"]}

    def work(_: slice) -> Mapping[str, NDArray[Any]]:
        from hneuro.models.files import NotPlain, stored_ffn
        from hneuro.origin.distance import distances, loaded_distances

        try:
            return {"distances": distances(stored_ffn(chat.source), stored_ffn(base.source))}
        except NotPlain as fault:
            log.info("drift is measured on the loaded models: %s", fault)
            return {"distances": loaded_distances(chat.loaded, base.loaded)}

    kinds = {"distances": ((len(PARTS), neuron_space(store, chat).size), "float64")}
    kept = store.arrays("distances", reads, kinds, [slice(0, len(PARTS))], work)
    return Kept(lambda: kept.value["distances"], kept.digest)
