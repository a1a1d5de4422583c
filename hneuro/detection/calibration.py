"""Is the detector's probability right, and what is it good for, at the prevalence of hallucination that there is?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_curve

from hneuro.detection.scored import equal_parts
from hneuro.result_records import Estimate, ResultRow
from hneuro.statistics import against_zero, auroc, group_weights, rate

BINS = 10  # of as many answers each
RESAMPLES = 500  # of entities
ALARMS = (1, 5, 10)  # percent of the faithful answers
COVERAGES = (20, 50, 80, 100)  # percent of the answers, those of the lowest risk

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Platt:
    """A probability from a score: the log-odds are a straight line in it."""

    slope: float
    offset: float

    @classmethod
    def fitted(cls, scores: Values, y: NDArray[np.int8], prevalence: float) -> Platt:
        """On scored and labelled answers, and moved from their share of hallucinations to `prevalence`."""
        centre, spread = scores.mean(), scores.std() or 1.0
        line = LogisticRegression(C=100.0, max_iter=5000).fit((scores - centre)[:, None] / spread, y)
        slope = float(line.coef_[0, 0]) / spread
        moved = float(logit(prevalence) - logit(y.mean()))
        return cls(slope=slope, offset=float(line.intercept_[0]) - slope * centre + moved)

    def risk(self, scores: Values) -> Values:
        """P(hallucination) [row]."""
        return np.asarray(expit(self.slope * scores + self.offset))


def calibration_rows(
    dataset: str, condition: str, y: NDArray[np.int8], risk: Values, groups: NDArray[np.str_]
) -> Iterator[ResultRow]:
    """Rows of the stage "calibration", from P(hallucination) of answers that nobody has balanced.

    "reliability" has a row a bin, whose `stratum` is the mean risk in it and whose value is the share that is
    hallucinated; "risk_at_coverage" has the share that is hallucinated among the answers of the lowest risk.
    """

    def row(metric: str, estimate: Estimate, stratum: str = "") -> ResultRow:
        found = ResultRow.of(estimate, stage="calibration", metric=metric, dataset=dataset, condition=condition)
        return replace(found, stratum=stratum)

    part = equal_parts(risk, BINS)
    yield row("prevalence", rate(int(y.sum()), len(y)))
    yield row("auroc", auroc(y, risk, groups))
    values = measures(y, risk, part, np.ones(len(y)))
    usable = (own for own in group_weights(groups, RESAMPLES).T if 0 < own @ y < own.sum())
    drawn = [measures(y, risk, part, own) for own in usable]
    for metric, value in values.items():
        found, _ = against_zero(value, np.array([own[metric] for own in drawn]), len(y))
        if metric == "ece":  # noise only adds to a mean of absolute values, so that no resample tells how low it may be
            found = replace(found, low=max(0.0, 2 * value - found.high))
        yield row(metric, found)
    for coverage in COVERAGES:
        covered = risk <= np.sort(risk)[max(0, round(coverage / 100 * len(y)) - 1)]
        yield row("risk_at_coverage", rate(int(y[covered].sum()), int(covered.sum())), f"{coverage} %")
    for place in np.unique(part):
        here = part == place
        yield row("reliability", rate(int(y[here].sum()), int(here.sum())), f"{risk[here].mean():.4f}")


def measures(y: NDArray[np.int8], risk: Values, part: NDArray[np.intp], weight: Values) -> dict[str, float]:
    """By metric. `part` [row]: the bin of each answer. ECE: mean, over answers, of |share wrong - mean risk| there.

    Brier skill is 1 where the probabilities are perfect, and 0 where they say no more than the prevalence. Recall at a
    share of false alarms: the most above a threshold, above which at most this share of the faithful answers lies.
    """
    total = weight.sum()
    share, brier = float(weight @ y / total), float(weight @ (y - risk) ** 2 / total)
    alarms, recall, _ = roc_curve(y, risk, sample_weight=weight)
    return {
        "ece": float(np.abs(np.bincount(part, weights=weight * (y - risk))).sum() / total),
        "brier": brier,
        "brier_skill": 1 - brier / (share * (1 - share)),
        "auprc": float(average_precision_score(y, risk, sample_weight=weight)),
        **{f"recall_at_{most}": float(recall[alarms <= most / 100 + 1e-12].max()) for most in ALARMS},
        "aurc": _aurc(y, risk, weight),
    }


def _aurc(y: NDArray[np.int8], risk: Values, weight: Values) -> float:
    """Mean, over the answers from the lowest risk up, of the share that is hallucinated up to there.

    Answers of one risk stand together.
    """
    _, member = np.unique(risk, return_inverse=True)
    total, wrong = (np.asarray(np.bincount(member, own), dtype=np.float64) for own in (weight, weight * y))
    seen = total > 0
    return float(np.average(np.cumsum(wrong[seen]) / np.cumsum(total[seen]), weights=total[seen]))
