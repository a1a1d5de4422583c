"""Backward transfer: the chat model's classifiers, unchanged, on the base model's answers (paper, section 4.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hneuro.detection.detector import Detector
from hneuro.detection.evaluate import AnswerSet
from hneuro.records import Probe
from hneuro.results import Estimate, ResultRow
from hneuro.statistics import auroc, mean_of, share_at_least


def backward_transfer(
    probe: Probe, detector: Detector, controls: Sequence[Detector], sets: Sequence[AnswerSet]
) -> tuple[ResultRow, ...]:
    """AUROC on the base model's answer rows, which needs no threshold: ranks may transfer where thresholds do not."""
    return tuple(row for tested in sets for row in _rows(probe, detector, controls, tested))


def _rows(probe: Probe, detector: Detector, controls: Sequence[Detector], tested: AnswerSet) -> Iterator[ResultRow]:
    y, groups, rows = tested.rows.y, tested.rows.groups, tested.rows
    null = [auroc(y, control.scores_of(rows), groups).value for control in controls]
    own = auroc(y, detector.scores_of(rows), groups)
    whole = auroc(y, probe.scores(rows), groups)
    summary = mean_of(null)
    estimates: dict[str, tuple[Estimate, float | None]] = {
        "h_neurons": (own, share_at_least(own.value, null) if null else None),
        "probe": (whole, None),
        "h_neurons/random": (summary, None),
    }
    for condition, (estimate, p) in estimates.items():
        yield ResultRow.of(
            estimate,
            stage="origin",
            metric="auroc",
            dataset=tested.name,
            condition=condition,
            p_value=p,
            note=tested.note,
        )
