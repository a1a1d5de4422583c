"""Detection on held-out questions: H-Neurons, their controls and the baselines, all trained and thresholded alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.baselines import BASELINES
from hneuro.detection.detector import Detector, train_detector
from hneuro.probe.controls import control_set
from hneuro.progress import track
from hneuro.records import Probe, ProbeRows, ResultRow
from hneuro.statistics import auroc, mean_of, rate, share_at_least, youden_threshold


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """`control_seeds`: how many random sets H-Neurons are compared with, of each kind."""

    control_seeds: int = 20
    controls: tuple[str, ...] = ("random", "layer_matched")
    min_refusals: int = 50  # a fabricated set with fewer refusals borrows its faithful side from the in-domain set

    def __post_init__(self) -> None:
        if self.control_seeds < 2 or not set(self.controls) <= {"random", "layer_matched"}:
            raise ValueError("control_seeds must be at least 2, controls among 'random' and 'layer_matched'")


@dataclass(frozen=True, kw_only=True)
class AnswerSet:
    """The answer rows of one set of questions, and the baseline features [row, baseline] of the same rows."""

    name: str
    rows: ProbeRows
    baselines: NDArray[np.float64]
    note: str = ""


def detect(
    probe: Probe,
    neuron_sets: Mapping[str, Sequence[int]],
    fit: AnswerSet,
    select: AnswerSet,
    sets: Sequence[AnswerSet],
    settings: DetectionSettings,
    seed: int,
) -> tuple[ResultRow, ...]:
    """One row for each (set of questions, condition, metric); controls have a row a seed and a summary row.

    `neuron_sets`: name -> flat neurons, "h_neurons" among them. No control has a neuron of nonzero weight. p of a set:
    the share of its "random" controls that do as well.
    """
    found: list[ResultRow] = []
    nonzero = {int(n) for n in np.flatnonzero(probe.weight)}
    for name, neurons in neuron_sets.items():
        null: dict[tuple[str, str, str], list[float]] = {}
        for kind in settings.controls:
            for draw in track(range(settings.control_seeds), f"detection: {kind} neurons"):
                chosen = control_set(kind, probe.space, neurons, nonzero | set(neurons), seed=seed * 1000 + draw)
                for row in _measure(f"{name}/{kind}", neuron_detector(chosen, fit, select), sets, draw):
                    found.append(row)
                    null.setdefault((kind, row.dataset, row.metric), []).append(row.value)
        for row in _measure(name, neuron_detector(neurons, fit, select), sets, None):
            draws = null.get(("random", row.dataset, row.metric))
            found.append(replace(row, p_value=share_at_least(row.value, draws) if draws else None))
        found += [_summary(f"{name}/{kind}", tested, metric, v) for (kind, tested, metric), v in null.items()]
    found += _probe_rows(probe, select, sets)
    found += _baseline_rows(fit, select, sets)
    return tuple(found)


def neuron_detector(neurons: Sequence[int], fit: AnswerSet, select: AnswerSet) -> Detector:
    """The detector on these neurons, trained on the answer rows of the fit split."""
    return train_detector(fit.rows.x, fit.rows.y, tuple(neurons), select.rows.x, select.rows.y)


def _measure(condition: str, detector: Detector, sets: Sequence[AnswerSet], draw: int | None) -> Iterator[ResultRow]:
    for tested in sets:
        scores = detector.scores(tested.rows.x)
        yield from _rows(condition, tested, scores, detector.threshold, draw)


def _rows(
    condition: str, tested: AnswerSet, scores: NDArray[np.float64], threshold: float, draw: int | None
) -> Iterator[ResultRow]:
    y = tested.rows.y
    area = auroc(y, scores, tested.rows.groups)
    right = rate(int(((scores > threshold) == y).sum()), len(y))
    for metric, estimate in (("auroc", area), ("accuracy", right)):
        yield ResultRow(
            stage="detection",
            metric=metric,
            dataset=tested.name,
            condition=condition,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            n=estimate.n,
            seed=draw,
            note=tested.note,
        )


def _summary(condition: str, dataset: str, metric: str, values: Sequence[float]) -> ResultRow:
    mean = mean_of(values)
    return ResultRow(
        stage="detection",
        metric=metric,
        dataset=dataset,
        condition=condition,
        value=mean.value,
        low=mean.low,
        high=mean.high,
        n=mean.n,
        note="mean over seeds",
    )


def _probe_rows(probe: Probe, select: AnswerSet, sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    threshold = youden_threshold(select.rows.y, probe.scores(select.rows.x))
    for tested in sets:
        yield from _rows("probe", tested, probe.scores(tested.rows.x), threshold, None)


def _baseline_rows(fit: AnswerSet, select: AnswerSet, sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    for column, name in enumerate(BASELINES):
        detector = train_detector(fit.baselines, fit.rows.y, (column,), select.baselines, select.rows.y)
        for tested in sets:
            yield from _rows(name, tested, detector.scores(tested.baselines), detector.threshold, None)
