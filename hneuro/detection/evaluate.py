"""Detection on held-out questions: H-Neurons, their controls and their rivals, all trained and thresholded alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.detector import Classifier, train_detector
from hneuro.detection.nulls import control_sets, growing, null_of, spread
from hneuro.detection.scored import (
    BASELINES,
    AnswerSet,
    Scored,
    differences,
    equal_parts,
    length_strata,
    measurable,
    measure,
    row_of,
)
from hneuro.neurons import Probe
from hneuro.probe.controls import ControlKind
from hneuro.result_records import ResultRow
from hneuro.significance import share_at_least
from hneuro.statistics import auroc, youden_threshold

LOGPROB, LENGTH = BASELINES.index("logprob"), BASELINES.index("length")
FEWEST = 20  # hallucinated, and faithful, answers below which nothing is said with something held fixed
BETTER = ("auroc", "accuracy", "flag_rate")  # of which more is better, so that p can be asked for


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """`control_seeds`: how many random sets H-Neurons are compared with, of each kind."""

    control_seeds: int = 200
    controls: tuple[ControlKind, ...] = ("random", "layer_matched", "contribution_matched")

    def __post_init__(self) -> None:
        if not 2 <= self.control_seeds <= 100_000:
            raise ValueError("control_seeds must be between 2 and 100,000")


def detect(
    probe: Probe,
    neuron_sets: Mapping[str, Sequence[int]],
    contribution: NDArray[np.float64],
    fit: AnswerSet,
    select: AnswerSet,
    sets: Sequence[AnswerSet],
    settings: DetectionSettings,
    seed: int,
    rivals: Sequence[Scored] = (),
    trained: Classifier | None = None,
) -> tuple[ResultRow, ...]:
    """One row for each (set of questions, condition, metric). Controls have a row for all sets of a kind together.

    `neuron_sets`: name -> flat neurons, "h_neurons" among them. `contribution` [neuron]: mean CETT, for the controls
    that are matched by it. No control has a neuron of nonzero weight. p of a set: the share of its "random" controls
    that do as well; p of a row of controls: the share of these. Intervals of AUROC are bootstrapped; those of controls
    are the middle 95 % of their sets. Every detector but the controls is also measured within answers of one length;
    the neuron sets also with other things held fixed, against what needs no look inside and the `rivals`, and added to
    the log-probability. A baseline is measured on the rows of which it is known; one that cannot be learnt
    from them is left out. "auroc_by_size": random sets that grow, whose `stratum` is their number of neurons.
    `trained`: the detector on one of the sets, which is not trained again.
    """
    found: list[ResultRow] = []
    nonzero = {int(n) for n in np.flatnonzero(probe.weight)}
    plain = _baselines(fit, select, sets)
    whole = _whole(probe, select, sets)
    every = [whole]
    found += measure(whole, sets)
    for name, neurons in neuron_sets.items():
        if trained is not None and trained.columns == tuple(neurons):
            detector = trained
        else:
            detector = neuron_detector(neurons, fit, select)
        own = _scored(name, detector, sets)
        measured = list(measure(own, sets))
        controls: list[ResultRow] = []
        for kind in settings.controls:
            exclude = nonzero | set(neurons)
            chosen = control_sets(kind, probe.space, neurons, exclude, contribution, settings.control_seeds, seed)
            null = null_of(chosen, fit, select, sets, f"detection: {kind} neurons")
            controls += (_against(row, f"{name}/{kind}", null[row.dataset, row.metric]) for row in measured)
        p = {(row.dataset, row.metric): row.p_value for row in controls if row.condition == f"{name}/random"}
        found += (*controls, *(replace(row, p_value=p.get((row.dataset, row.metric))) for row in measured))
        found += (
            replace(row, metric="auroc_by_size", stratum=str(len(neurons))) for row in measured if row.metric == "auroc"
        )
        found += differences([(own, other) for other in (*plain, *rivals)], sets)
        found += _held_fixed(own, sets)
        every.append(own)
        for logprob in (baseline for baseline in plain if baseline.condition == BASELINES[LOGPROB]):
            added = _added(logprob, own, detector, select, sets)
            found += differences([(added, logprob)], sets)
            found += measure(added, sets)
            every.append(added)
    for size, null in growing(probe.space, nonzero.union(*neuron_sets.values()), fit, select, sets, seed):
        for (dataset, metric), values in null.items():
            if metric == "auroc":
                found.append(replace(row_of("auroc_by_size", dataset, "random", spread(values)), stratum=str(size)))
    return (*found, *(row for scored in every for row in _within_length(scored, sets)))


def detect_by_baselines(
    fit: AnswerSet, select: AnswerSet, sets: Sequence[AnswerSet], rivals: Sequence[Scored] = ()
) -> tuple[ResultRow, ...]:
    """The same rows for what is the same for every probe on these answers."""
    plain = _baselines(fit, select, sets)
    rows = (row for scored in plain for row in (*measure(scored, sets), *_within_length(scored, sets)))
    return (*rows, *(row for scored in rivals for row in measure(scored, sets)))


def neuron_detector(neurons: Sequence[int], fit: AnswerSet, select: AnswerSet) -> Classifier:
    """The detector on these neurons, trained on the answer rows of the fit split."""
    x, x_select = fit.rows.columns(neurons), select.rows.columns(neurons)
    own = train_detector(x, fit.rows.y, tuple(range(len(neurons))), x_select, select.rows.y)
    return replace(own, columns=tuple(neurons))


def _against(row: ResultRow, condition: str, values: NDArray[np.float64]) -> ResultRow:
    """The values [set] of one kind of controls together, with p that one of them does as well as the neurons."""
    p = share_at_least(row.value, values.tolist()) if row.metric in BETTER else None
    summary = row_of(row.metric, row.dataset, condition, spread(values))
    return replace(summary, p_value=p, note="middle 95 % of the sets")


def _scored(condition: str, detector: Classifier, sets: Sequence[AnswerSet]) -> Scored:
    scores = tuple(detector.scores_of(tested.rows) for tested in sets)
    return Scored(condition=condition, scores=scores, threshold=detector.threshold)


def _known(part: AnswerSet, column: int) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    """Baseline features and labels of the rows of which a baseline is known."""
    known = ~np.isnan(part.baselines[:, column])
    return part.baselines[known], part.rows.y[known]


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


def _added(baseline: Scored, own: Scored, detector: Classifier, select: AnswerSet, sets: Sequence[AnswerSet]) -> Scored:
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


def _held_fixed(scored: Scored, sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    """AUROC over the pairs of rows that share a tenth of the log-probability or of the frequency, and over the rows
    about known entities: those that another answer of the set was right about.
    """
    for tested, known, scores in measurable(scored, sets):
        y, groups = tested.rows.y, tested.rows.groups
        for name, values in (
            ("logprob", tested.baselines[:, LOGPROB]),
            ("frequency", tested.counts),
            ("known", np.where(np.isin(groups, groups[y == 0]), 0.0, np.nan)),
        ):
            here = known & ~np.isnan(values)
            if min((y[here] == 1).sum(), (y[here] == 0).sum()) < FEWEST:
                continue
            area = auroc(y[here], scores[here[known]], groups[here], equal_parts(values[here]))
            if not np.isnan(area.value):
                yield row_of(f"auroc_within_{name}", tested.name, scored.condition, area)


def _within_length(scored: Scored, sets: Sequence[AnswerSet]) -> Iterator[ResultRow]:
    """AUROC in each stratum of answer length, and over all pairs of rows that share one."""
    for tested, known, scores in measurable(scored, sets):
        y, groups = tested.rows.y[known], tested.rows.groups[known]
        if len(set(y.tolist())) < 2:
            continue  # the row of its AUROC says why
        stratum, names = length_strata(tested.baselines[known, LENGTH])
        for place, name in enumerate(names):
            here = stratum == place
            area = auroc(y[here], scores[here], groups[here])
            yield replace(row_of("auroc_in_stratum", tested.name, scored.condition, area), stratum=name)
        yield row_of("auroc_within_length", tested.name, scored.condition, auroc(y, scores, groups, stratum))
