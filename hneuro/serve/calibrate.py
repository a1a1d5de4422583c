"""The detector on another domain: its probability from labelled answers, and how right it was before and is after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from hneuro.detection.calibration import Platt, calibration_rows
from hneuro.detector import Detector
from hneuro.questions.recorded import verdict_of
from hneuro.questions.rows import Row, read_rows
from hneuro.records import UserError, Verdict
from hneuro.result_records import Calibration, ResultRow

FOLDS = 5
FEWEST = 10  # labelled answers of either kind
QUEUES = (".sqlite", ".db")


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """`before`: what the run's calibration says of these answers, None without one; `after`: what the new one says of
    answers that it has not seen (five folds). `unread`: answers that the detector cannot read, and that no label helps.
    """

    detector: Detector
    before: Sequence[ResultRow] | None
    after: Sequence[ResultRow]
    right: int
    wrong: int
    unread: int


def calibrate(detector: Detector, labels: Path) -> Calibrated:
    """On rows with `question`, `response` and `verdict`, or on the labelled answers of a review queue."""
    rows = list(_labelled(labels))
    # Answers of another kind than the run's are not found by its names, and are read where they are stated.
    anywhere = detector.calibrated(None)
    for own in (detector, anywhere):
        found = [(own.score(question, text), wrong) for question, text, wrong in rows]
        scored = [(answer.score, wrong) for answer, wrong in found if not answer.unchecked]
        if 2 * len(scored) > len(rows):
            break
    unread, read_as = len(rows) - len(scored), own.calibration
    scores = logit(np.clip([score for score, _ in scored], 1e-15, 1 - 1e-15))
    y = np.array([wrong for _, wrong in scored], dtype=np.int8)
    wrong = int(y.sum())
    if min(wrong, len(y) - wrong) < FEWEST:
        raise UserError(
            f"{labels} has {len(y) - wrong} right and {wrong} wrong answers that the detector reads ({unread} it does "
            f"not): at least {FEWEST} of each are needed"
        )
    whole, on = Platt.fitted(scores, y, float(y.mean())), detector.calibration
    kept = Calibration(
        slope=whole.slope,
        offset=float(whole.offset),
        log_odds=tuple(scores.tolist()),
        hallucinated=tuple(y.astype(bool).tolist()),
        dataset=labels.stem,
        candidates=read_as.candidates if read_as else (),
        method=read_as.method if read_as else "",
    )
    return Calibrated(
        detector=detector.calibrated(kept),
        before=None if on is None else _quality(y, Platt(slope=on.slope, offset=on.offset).risk(scores)),
        after=_quality(y, _unseen(scores, y)),
        right=len(y) - wrong,
        wrong=wrong,
        unread=unread,
    )


def _unseen(scores: NDArray[np.float64], y: NDArray[np.int8]) -> NDArray[np.float64]:
    """P(hallucination) of each answer by a line that was fitted on the other folds."""
    from sklearn.model_selection import StratifiedKFold

    found = np.empty(len(y))
    for fitted, seen in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(scores[:, None], y):
        found[seen] = Platt.fitted(scores[fitted], y[fitted], float(y[fitted].mean())).risk(scores[seen])
    return found


def _quality(y: NDArray[np.int8], risk: NDArray[np.float64]) -> Sequence[ResultRow]:
    """ECE and Brier score, with every answer as a group of its own."""
    rows = calibration_rows("labels", "h_neurons", y, risk, np.arange(len(y)).astype(str))
    return [row for row in rows if row.metric in ("ece", "brier")]


def _labelled(labels: Path) -> Iterator[tuple[str, str, bool]]:
    for number, row in enumerate(_rows(labels), 1):
        where = f"{labels}, row {number}"
        if not all(isinstance(row.get(name), str) for name in ("question", "response")):
            raise UserError(f"{where} needs 'question' and 'response' as text; it has {', '.join(map(str, row))}")
        verdict = verdict_of(row.get("verdict"), where)
        if verdict in (Verdict.CORRECT, Verdict.WRONG) and row["response"].strip():
            yield row["question"], row["response"], verdict is Verdict.WRONG


def _rows(labels: Path) -> Sequence[Row]:
    if labels.suffix not in QUEUES:
        return list(read_rows(labels))
    from hneuro.serve.queue import Queue

    if not labels.is_file():
        raise UserError(f"there is no review queue {labels}")
    return Queue(file=labels, days=float("inf")).labels()
