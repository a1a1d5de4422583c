"""Calibration from the store: the detector on all held-out answers of the identification set, none balanced away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.calibration import Platt, calibration_rows
from hneuro.detection.evaluate import neuron_detector
from hneuro.detection.scored import BASELINES, baseline_features
from hneuro.neurons import HNeurons
from hneuro.records import LabelledResponse
from hneuro.result_records import ResultRow
from hneuro.spans.loss import loss_step
from hneuro.statistics import rate
from hneuro.steps import stored
from hneuro.steps.answers import Identified
from hneuro.steps.context import Context
from hneuro.steps.measured import Answers
from hneuro.steps.sampling import Judged, Questions, one_each
from hneuro.store import Kept, fingerprint
from hneuro.verdicts.consistency import single

HOW = "Platt on select, ten bins"  # for the key of what is kept
LOGPROB = BASELINES.index("logprob")


@dataclass(frozen=True, kw_only=True)
class _Rest:
    """The answers that balancing has left out, in the columns of the detector alone."""

    labelled: tuple[LabelledResponse, ...]
    columns: Kept[NDArray[np.float32]]  # [row, neuron]
    logprob: NDArray[np.float64]  # [row]


def calibration(
    run: Context, neurons: HNeurons, identified: Identified, balanced: Answers, report: Questions
) -> tuple[ResultRow, ...]:
    """`balanced`: the answers to some of the `report` questions. Nothing where there are too few of either kind."""
    rest = _rest(run, neurons, balanced, report)
    wrong, asked = identified.natural
    y = np.array([r.hallucinated for r in (*balanced.labelled, *rest.labelled)], dtype=np.int8)
    if min(y.sum(), len(y) - y.sum()) < run.experiment.mechanism.min_per_class or not 0 < wrong < asked:
        return ()
    reads = {
        "answers": [(a.digest, fingerprint(a.labelled)) for a in (identified.fit, identified.select, balanced)],
        "rest": [rest.columns.digest, fingerprint(rest.labelled)],
        "neurons": neurons,
        "natural": identified.natural,
        "how": HOW,
    }

    def work() -> Sequence[ResultRow]:
        return list(_rows(balanced, rest, neurons, identified, y))

    return run.store.whole("calibration", ResultRow, reads, work).value


def _rest(run: Context, neurons: HNeurons, balanced: Answers, report: Questions) -> _Rest:
    model, setup = run.chat, run.experiment
    responses = one_each(run, model, report)
    judged = Judged(responses, stored.judge(run.store, setup.judge, report, responses)).pairs()
    every, _ = single(report, [judgement for _, judgement in judged], balanced.name)
    drawn = balanced.drawn
    left = [r for r in every if (r.question_id, r.sample) not in drawn]
    spans = stored.locate(run.store, setup.span, model, report, responses, left)
    if left:
        run.funnel.append(loss_step(left, spans.value, f"{balanced.name} (for calibration)"))
    located = {(s.question_id, s.sample): s for s in spans.value if s.tokens}
    kept = tuple(r for r in left if (r.question_id, r.sample) in located)
    said = {(r.question_id, r.sample): r for r in responses.value}
    keys = [(r.question_id, r.sample) for r in kept]
    columns = stored.columns(
        run.store,
        model,
        setup.contribution,
        balanced.tested,
        [said[key] for key in keys],
        [located[key] for key in keys],
        neurons.neurons,
    )
    return _Rest(labelled=kept, columns=columns, logprob=baseline_features(kept, said, located)[:, LOGPROB])


def _rows(
    balanced: Answers, rest: _Rest, neurons: HNeurons, identified: Identified, y: NDArray[np.int8]
) -> Iterator[ResultRow]:
    select, tested = identified.select.answer_set(), balanced.answer_set()
    detector = neuron_detector(neurons.neurons, identified.fit.answer_set(), select)
    groups = np.concatenate([tested.rows.groups, np.array([r.group for r in rest.labelled], dtype=str)])
    scores = {
        "h_neurons": (
            detector.scores_of(select.rows),
            np.concatenate([detector.scores_of(tested.rows), detector.on_columns().scores(rest.columns.value)]),
        ),
        "logprob": (select.baselines[:, LOGPROB], np.concatenate([tested.baselines[:, LOGPROB], rest.logprob])),
    }
    assumed = rate(*identified.natural)
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
