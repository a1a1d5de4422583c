"""Backward transfer: the chat model's classifiers, unchanged, on the base model's answers (paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hneuro.detection.detector import Classifier
from hneuro.detection.nulls import spread
from hneuro.detection.scored import AnswerSet
from hneuro.neurons import HNeurons, Probe
from hneuro.probe.stability import overlap
from hneuro.result_records import Estimate, ResultRow
from hneuro.significance import share_at_least
from hneuro.statistics import auroc, auroc_difference, auroc_in_closed_form


def backward_transfer(
    probe: Probe,
    detector: Classifier,
    controls: Sequence[Classifier],
    sets: Sequence[AnswerSet],
    own: Probe | None = None,
) -> tuple[ResultRow, ...]:
    """AUROC on the base model's answer rows, which needs no threshold: ranks may transfer where thresholds do not.

    `own`: a probe that the same selection made of the base model's own answers, as what could be had there; what the
    transferred ones lack is paired with it on the same rows.
    """
    return tuple(row for tested in sets for row in _rows(probe, detector, controls, tested, own))


def _rows(
    probe: Probe, detector: Classifier, controls: Sequence[Classifier], tested: AnswerSet, own: Probe | None
) -> Iterator[ResultRow]:
    y, groups, rows = tested.rows.y, tested.rows.groups, tested.rows
    null = [auroc_in_closed_form(y, control.scores_of(rows), groups).value for control in controls]
    scores = {"h_neurons": detector.scores_of(rows), "probe": probe.scores(rows)}
    found = auroc(y, scores["h_neurons"], groups)
    estimates: dict[str, tuple[Estimate, float | None]] = {
        "h_neurons": (found, share_at_least(found.value, null) if null else None),
        "probe": (auroc(y, scores["probe"], groups), None),
        "h_neurons/random": (spread(np.array(null)), None),
    }
    if own is not None:
        estimates["base_probe"] = (auroc(y, own.scores(rows), groups), None)
    for condition, (estimate, p) in estimates.items():
        yield ResultRow.of(
            estimate,
            stage="origin",
            metric="auroc",
            dataset=tested.name,
            condition=condition,
            p_value=p,
        )
    if own is not None:
        for condition, transferred in scores.items():
            difference, p = auroc_difference(y, transferred, own.scores(rows), groups)
            yield ResultRow.of(
                difference,
                stage="origin",
                metric="auroc_minus_base_probe",
                dataset=tested.name,
                condition=condition,
                p_value=p,
            )


def shared_neurons(neurons: HNeurons, own: Probe) -> ResultRow:
    """How many H-Neurons the base model's own probe selects too; p that as many drawn at random share so many."""
    found = overlap("models", {"chat": neurons.neurons, "base": own.positive}, neurons.space.size)
    count, others = (int(size) for size in found.sizes)
    return ResultRow(
        stage="origin",
        metric="shared_neurons",
        dataset="neurons",
        condition="base_probe",
        value=found.shared,
        n=count,
        p_value=found.p_value,
        note=f"of {count} H-Neurons and {others} that the base model's own probe selects; "
        f"{count * others / neurons.space.size:.2f} would be shared by chance",
    )
