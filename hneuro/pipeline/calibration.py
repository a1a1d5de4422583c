"""Calibration from the store: the detector on all held-out answers of the identification set, none balanced away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.calibration import Platt, calibration_rows
from hneuro.detection.detector import Classifier
from hneuro.detection.scored import BASELINES, AnswerSet, baseline_features
from hneuro.pipeline import stored
from hneuro.pipeline.answers import Identified
from hneuro.pipeline.measured import Answers, located, pooled
from hneuro.pipeline.run import Questions, Run
from hneuro.pipeline.sampling import Judged, one_each
from hneuro.probe.consistency import single
from hneuro.records import LabelledResponse
from hneuro.result_records import Calibration, FunnelStep, ResultRow, TrainedDetector
from hneuro.spans.candidate import CandidateLocator
from hneuro.stage import stage
from hneuro.statistics import rate
from hneuro.store import Kept

LOGPROB = BASELINES.index("logprob")


@dataclass(frozen=True, kw_only=True)
class _Rest:
    """The answers that balancing has left out; of all neurons, so that the cells of a sweep share them."""

    labelled: tuple[LabelledResponse, ...]
    contributions: Kept[NDArray[np.float32]]  # [row, region, neuron], of the one region that detectors read
    logprob: NDArray[np.float64]  # [row]


def calibration(
    run: Run, trained: TrainedDetector, identified: Identified, balanced: Answers
) -> tuple[tuple[ResultRow, ...], Calibration | None, tuple[FunnelStep, ...]]:
    """`balanced`: the answers to some of the report questions. No rows where there are too few of either kind."""
    report = run.asked.parts["report"]
    rest, lost = _rest(run, balanced, report)
    wrong, asked = identified.natural
    y = [r.hallucinated for r in (*balanced.labelled, *rest.labelled)]
    if min(sum(y), len(y) - sum(y)) < run.experiment.mechanism.min_per_class or not 0 < wrong < asked:
        return (), None, lost
    rows = calibrated(run.store, balanced, rest, trained, identified.select, identified.natural).value
    alike = {question.candidates for question in report}
    stated = next(iter(alike)) if len(alike) == 1 else ()
    method = "candidate" if isinstance(run.experiment.span, CandidateLocator) else ""
    kept = _kept_scores(balanced, rest, Classifier.of(trained), identified)
    return rows, replace(kept, candidates=stated, method=method), lost


def _rest(run: Run, balanced: Answers, report: Questions) -> tuple[_Rest, tuple[FunnelStep, ...]]:
    model, setup = run.chat, run.experiment
    responses = one_each(run, model, report)
    judged = Judged(responses, stored.judge(run.store, setup.judge, report, responses))
    every, _ = single(report, judged.pairs(), balanced.name)
    left = [r for r in every if (r.question_id, r.sample) not in balanced.drawn]
    kept, spans, step = located(run, model, report, responses, left, f"{balanced.name} (for calibration)")
    said = {(r.question_id, r.sample): r for r in responses.value}
    keys = [(r.question_id, r.sample) for r in kept]
    sequences, positions = pooled(run, model, [(said[key], spans[key]) for key in keys], balanced.tested)
    budget = setup.contribution.token_budget
    size = stored.neuron_space(run.store, model).size
    found = stored.contributions(run.store, model, sequences, positions, budget, 1, size)
    rest = _Rest(labelled=kept, contributions=found, logprob=baseline_features(kept, said, spans)[:, LOGPROB])
    return rest, (step,) if left else ()


@stage(ResultRow, version=1, name="calibration")
def calibrated(
    balanced: Answers, rest: _Rest, trained: TrainedDetector, selected: Answers, natural: tuple[int, int]
) -> Sequence[ResultRow]:
    """Platt's scaling on the select part, ten bins."""
    return list(_rows(balanced, rest, Classifier.of(trained), selected.answer_set(), natural))


def _kept_scores(balanced: Answers, rest: _Rest, detector: Classifier, identified: Identified) -> Calibration:
    """What a detector in use needs to keep a promise."""
    select = identified.select.answer_set().rows
    platt = Platt.fitted(detector.scores_of(select), select.y, rate(*identified.natural).value)
    return Calibration(
        slope=platt.slope,
        offset=float(platt.offset),
        log_odds=(
            *detector.scores_of(balanced.rows()).tolist(),
            *detector.scores(rest.contributions.value[:, 0]).tolist(),
        ),
        hallucinated=tuple(r.hallucinated for r in (*balanced.labelled, *rest.labelled)),
        dataset=balanced.name,
    )


def _rows(
    balanced: Answers, rest: _Rest, detector: Classifier, select: AnswerSet, natural: tuple[int, int]
) -> Iterator[ResultRow]:
    tested = balanced.answer_set()
    y = np.array([r.hallucinated for r in (*balanced.labelled, *rest.labelled)], dtype=np.int8)
    groups = np.concatenate([tested.rows.groups, np.array([r.group for r in rest.labelled], dtype=str)])
    scores = {
        "h_neurons": (
            detector.scores_of(select.rows),
            np.concatenate([detector.scores_of(tested.rows), detector.scores(rest.contributions.value[:, 0])]),
        ),
        "logprob": (select.baselines[:, LOGPROB], np.concatenate([tested.baselines[:, LOGPROB], rest.logprob])),
    }
    assumed = rate(*natural)
    yield ResultRow.of(
        assumed, stage="calibration", metric="prevalence_assumed", dataset=balanced.name, condition="select",
        note="of the select part, one sample a question",
    )  # fmt: skip
    for condition, (on_select, own) in scores.items():
        told, known = ~np.isnan(on_select), ~np.isnan(own)
        labels = select.rows.y[told]
        if len(set(labels.tolist())) == len(set(y[known].tolist())) == 2:
            platt = Platt.fitted(on_select[told], labels, assumed.value)
            yield from calibration_rows(balanced.name, condition, y[known], platt.risk(own[known]), groups[known])
