"""Detection on held-out questions: H-Neurons, their controls and the baselines, all trained and thresholded alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.baselines import BASELINES
from hneuro.detection.detector import Detector, train_detector
from hneuro.detection.length import length_strata
from hneuro.probe.controls import ControlKind, control_set
from hneuro.progress import track
from hneuro.records import Probe, Rows
from hneuro.results import Estimate, ResultRow
from hneuro.statistics import (
    auroc,
    auroc_difference,
    auroc_in_closed_form,
    mean_of,
    rate,
    share_at_least,
    youden_threshold,
)

INTERVALS = "controls: closed form"  # how they are made, for the key of what is kept
MEASURES = (  # metrics of the rows
    "auroc", "accuracy", "flag_rate", "false_alarms", "auroc_in_stratum", "auroc_within_length", "auroc_minus_*",
)  # fmt: skip
NO_REFUSAL = "nothing made up was refused: AUROC is not measurable"
LOGPROB, LENGTH = BASELINES.index("logprob"), BASELINES.index("length")


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """`control_seeds`: how many random sets H-Neurons are compared with, of each kind."""

    control_seeds: int = 20
    controls: tuple[ControlKind, ...] = ("random", "layer_matched", "contribution_matched")

    def __post_init__(self) -> None:
        if self.control_seeds < 2:
            raise ValueError("control_seeds must be at least 2")


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """The answer rows of one set of questions, and the baseline features [row, baseline] of the same rows.

    `made_up`: the questions are about things that do not exist. Any answer is hallucinated, and refusing is faithful.
    """

    name: str
    rows: Rows
    baselines: NDArray[np.float64]
    made_up: bool = False


def detect(
    probe: Probe,
    neuron_sets: Mapping[str, Sequence[int]],
    contribution: NDArray[np.float64],
    fit: AnswerSet,
    select: AnswerSet,
    sets: Sequence[AnswerSet],
    settings: DetectionSettings,
    seed: int,
) -> tuple[ResultRow, ...]:
    """One row for each (set of questions, condition, metric); controls have a row a seed and a summary row.

    Intervals of AUROC are bootstrapped; those of the single controls, of which there are many, have a closed form.

    `neuron_sets`: name -> flat neurons, "h_neurons" among them. `contribution` [neuron]: mean CETT, for the controls
    that are matched by it. No control has a neuron of nonzero weight. p of a set: the share of its "random" controls
    that do as well; p of a summary of controls: the share of these. Every detector but the controls is also measured
    within answers of one length, and the neuron sets against what needs no look inside: alone, and added to the
    log-probability. A baseline is measured on the rows of which it is known; one that cannot be learnt from them is
    left out.
    """
    found: list[ResultRow] = []
    nonzero = {int(n) for n in np.flatnonzero(probe.weight)}
    plain = _baselines(fit, select, sets)
    whole = _whole(probe, select, sets)
    every = [whole]
    found += _measure(whole, sets)
    for name, neurons in neuron_sets.items():
        null: dict[tuple[str, str, str], list[float]] = {}
        for kind in settings.controls:
            for draw in track(range(settings.control_seeds), f"detection: {kind} neurons"):
                exclude = nonzero | set(neurons)
                chosen = control_set(kind, probe.space, neurons, exclude, contribution, seed * 1000 + draw)
                for row in _measure(_scored(f"{name}/{kind}", neuron_detector(chosen, fit, select), sets), sets, draw):
                    found.append(row)
                    null.setdefault((kind, row.dataset, row.metric), []).append(row.value)
        detector = neuron_detector(neurons, fit, select)
        own = _scored(name, detector, sets)
        for row in _measure(own, sets):
            p_of = {kind: share_at_least(row.value, null[kind, row.dataset, row.metric]) for kind in settings.controls}
            found.append(replace(row, p_value=p_of.get("random")))
            for kind, p in p_of.items():
                summary = mean_of(null[kind, row.dataset, row.metric])
                made = _row(row.metric, row.dataset, f"{name}/{kind}", summary)
                found.append(replace(made, p_value=p, note="mean over seeds"))
        found += _differences([(own, baseline) for baseline in plain], sets)
        every.append(own)
        for logprob in (baseline for baseline in plain if baseline.condition == BASELINES[LOGPROB]):
            added = _added(logprob, own, detector, select, sets)
            found += _differences([(added, logprob)], sets)
            found += _measure(added, sets)
            every.append(added)
    return (*found, *(row for scored in every for row in _within_length(scored, sets)))


def detect_by_baselines(fit: AnswerSet, select: AnswerSet, sets: Sequence[AnswerSet]) -> tuple[ResultRow, ...]:
    """The same rows for what needs no look inside, which are the same for every probe on these answers."""
    plain = _baselines(fit, select, sets)
    return tuple(row for scored in plain for row in (*_measure(scored, sets), *_within_length(scored, sets)))


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a detector says of each tested set of rows, and the threshold above which it says "hallucinated".

    A score is NaN where what it is made from is not known.
    """

    condition: str
    scores: tuple[NDArray[np.float64], ...]
    threshold: float


def neuron_detector(neurons: Sequence[int], fit: AnswerSet, select: AnswerSet) -> Detector:
    """The detector on these neurons, trained on the answer rows of the fit split."""
    x, x_select = fit.rows.columns(neurons), select.rows.columns(neurons)
    own = train_detector(x, fit.rows.y, tuple(range(len(neurons))), x_select, select.rows.y)
    return replace(own, columns=tuple(neurons))


def _scored(condition: str, detector: Detector, sets: Sequence[AnswerSet]) -> Scored:
    scores = tuple(detector.scores_of(tested.rows) for tested in sets)
    return Scored(condition=condition, scores=scores, threshold=detector.threshold)


def _known(part: AnswerSet, column: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Baseline features and labels of the rows of which a baseline is known."""
    known = ~np.isnan(part.baselines[:, column])
    return part.baselines[known], part.rows.y[known]


def _measurable(
    scored: Scored, sets: Sequence[AnswerSet]
) -> Iterator[tuple[AnswerSet, NDArray[np.bool_], NDArray[np.float64]]]:
    """Each set of which the detector knows anything, the mask of those rows [row], and their scores."""
    for tested, scores in zip(sets, scored.scores, strict=True):
        known = ~np.isnan(scores)
        if known.any():
            yield tested, known, scores[known]


def _whole(probe: Probe, select: AnswerSet, sets: Sequence[AnswerSet]) -> Scored:
    threshold = youden_threshold(select.rows.y, probe.scores(select.rows))
    return Scored(condition="probe", scores=tuple(probe.scores(s.rows) for s in sets), threshold=threshold)


def _baselines(fit: AnswerSet, select: AnswerSet, sets: Sequence[AnswerSet]) -> list[Scored]:
    found = []
    for column, name in enumerate(BASELINES):
        (x, y), (x_select, y_select) = (_known(part, column) for part in (fit, select))
        if len(set(y.tolist())) < 2 or len(set(y_select.tolist())) < 2:
            continue  # the funnel counts the responses without it
        detector = train_detector(x, y, (column,), x_select, y_select)
        scores = tuple(detector.scores(tested.baselines) for tested in sets)
        found.append(Scored(condition=name, scores=scores, threshold=detector.threshold))
    return found


def _added(baseline: Scored, own: Scored, detector: Detector, select: AnswerSet, sets: Sequence[AnswerSet]) -> Scored:
    """Log-probability and the neurons' score together.

    Their weights are learnt on the select split, because on the fit split, where the detector was trained, its score is
    better than it is anywhere else.
    """

    def together(tested: AnswerSet, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([tested.baselines[:, LOGPROB], scores])

    known = ~np.isnan(select.baselines[:, LOGPROB])
    on_select, y = together(select, detector.scores_of(select.rows))[known], select.rows.y[known]
    both = train_detector(on_select, y, (0, 1), on_select, y)
    scores = tuple(both.scores(together(tested, said)) for tested, said in zip(sets, own.scores, strict=True))
    return Scored(condition=f"{baseline.condition}+{own.condition}", scores=scores, threshold=both.threshold)


def _measure(scored: Scored, sets: Sequence[AnswerSet], draw: int | None = None) -> Iterator[ResultRow]:
    for tested, known, scores in _measurable(scored, sets):
        y, flagged = tested.rows.y[known] == 1, scores > scored.threshold
        found = {"auroc": (auroc if draw is None else auroc_in_closed_form)(y, scores, tested.rows.groups[known])}
        if tested.made_up:
            found["flag_rate"] = rate(int(flagged[y].sum()), int(y.sum()))
        else:
            found["accuracy"] = rate(int((flagged == y).sum()), len(y))
        if not y.all():
            found["false_alarms"] = rate(int(flagged[~y].sum()), int((~y).sum()))
        for metric, estimate in found.items():
            note = NO_REFUSAL if tested.made_up and y.all() and metric == "auroc" else ""
            yield replace(_row(metric, tested.name, scored.condition, estimate), seed=draw, note=note)


def _within_length(scored: Scored, sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    """AUROC in each stratum of answer length, and over all pairs of rows that share one."""
    for tested, known, scores in _measurable(scored, sets):
        y, groups = tested.rows.y[known], tested.rows.groups[known]
        if len(set(y.tolist())) < 2:
            continue  # the row of its AUROC says why
        stratum, names = length_strata(tested.baselines[known, LENGTH])
        for place, name in enumerate(names):
            here = stratum == place
            area = auroc(y[here], scores[here], groups[here])
            yield replace(_row("auroc_in_stratum", tested.name, scored.condition, area), stratum=name)
        yield _row("auroc_within_length", tested.name, scored.condition, auroc(y, scores, groups, stratum))


def _differences(pairs: Sequence[tuple[Scored, Scored]], sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    """AUROC of the first minus that of the second, paired on the same rows."""
    for place, tested in enumerate(sets):
        for one, other in pairs:
            first, second = one.scores[place], other.scores[place]
            known = ~np.isnan(first) & ~np.isnan(second)
            y, groups = tested.rows.y[known], tested.rows.groups[known]
            if len(set(y.tolist())) < 2:
                continue  # the funnel counts them, or the row of its AUROC says why
            found, p = auroc_difference(y, first[known], second[known], groups)
            yield replace(_row(f"auroc_minus_{other.condition}", tested.name, one.condition, found), p_value=p)


def _row(metric: str, dataset: str, condition: str, estimate: Estimate) -> ResultRow:
    return ResultRow.of(estimate, stage="detection", metric=metric, dataset=dataset, condition=condition)
