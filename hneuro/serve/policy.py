"""What becomes of an answer, by a promise that the held-out answers of the detector can keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from hneuro.detector import Answer, Detector
from hneuro.disk import read_text
from hneuro.records import UserError

Action = Literal["pass", "flag", "hold", "abstain"]
WITHHELD = ("hold", "abstain")
COVERAGES = tuple(n / 20 for n in range(1, 21))  # of the answers that pass; the bound is over all of them at once


@dataclass(frozen=True, kw_only=True)
class Policy:
    """`above`: what is done with an answer above the threshold, `unchecked` with one that the detector cannot read.

    "flag" delivers it with a warning; "hold" delivers a notice, and keeps the answer for review; "abstain" delivers a
    notice alone. `promise`: "false_alarms", of all right answers at most the share `at_most` lies above the threshold;
    "passed_errors", of all answers below it at most this share is hallucinated; each with this `confidence`, for
    answers as those held out, taken as independent. "none" takes the detector's own threshold (Youden's J).
    """

    promise: Literal["none", "false_alarms", "passed_errors"] = "none"
    at_most: float = 0.1
    confidence: float = 0.95
    above: Action = "flag"
    unchecked: Action = "flag"

    def __post_init__(self) -> None:
        if not 0 < self.at_most < 1 or not 0 < self.confidence < 1:
            raise ValueError("at_most and confidence must lie between 0 and 1")
        if self.unchecked == "pass" and self.above != "pass":
            raise ValueError("unchecked=pass would show as clean what nobody has read: flag, hold or abstain")

    @property
    def withholds(self) -> bool:
        """Whether an answer may be kept from who asked, so that no text goes out before it is complete."""
        return self.above in WITHHELD or self.unchecked in WITHHELD

    def limit(self, detector: Detector) -> Limit:
        """The threshold; `UserError` where too few answers were held out to promise it."""
        if self.promise == "none":
            return Limit(detector.classifier.threshold, "the detector's own threshold, which promises no rate")
        on = detector.calibration
        if on is None:
            raise UserError(
                f"policy: {self.promise} needs the scores of held-out answers, which this detector was saved without: "
                "run the experiment again, or hneuro calibrate"
            )
        scores, wrong = np.array(on.log_odds), np.array(on.hallucinated, dtype=bool)
        find = _false_alarms if self.promise == "false_alarms" else _passed_errors
        return find(scores, wrong, self.at_most, self.confidence)

    def decide(self, answer: Answer, limit: Limit) -> Decision:
        if answer.unchecked:
            return Decision(self.unchecked, None)
        flagged = answer.score > limit.risk
        return Decision(self.above if flagged else "pass", flagged)


@dataclass(frozen=True)
class Limit:
    """Answers above these log-odds are not passed; `promise` in words."""

    log_odds: float
    promise: str

    @property
    def risk(self) -> float:
        """The same as a score."""
        return float(expit(self.log_odds))


@dataclass(frozen=True)
class Decision:
    action: Action
    flagged: bool | None  # None: unchecked


def held_out(detector: Detector, policies: Mapping[str, Policy]) -> dict[str, Any]:
    """The calibrated probability and the policies on the answers that the run held out, which set the thresholds."""
    from hneuro.detection.calibration import BINS, Platt
    from hneuro.detection.scored import equal_parts

    on = detector.calibration
    if on is None:
        return {"n": 0, "reliability": [], "policies": []}
    scores, wrong = np.array(on.log_odds), np.array(on.hallucinated, dtype=bool)
    risk = Platt(slope=on.slope, offset=on.offset).risk(scores)
    part = equal_parts(risk, BINS)
    bins = [(risk[part == n], wrong[part == n]) for n in np.unique(part)]
    return {
        "n": len(scores),
        "dataset": on.dataset,
        "hallucinated": float(wrong.mean()),
        "reliability": [
            {"said": float(said.mean()), "seen": float(seen.mean()), "n": len(said)} for said, seen in bins
        ],
        "policies": [{"name": name} | _kept(policy, detector, scores, wrong) for name, policy in policies.items()],
    }


def _kept(policy: Policy, detector: Detector, scores: NDArray[np.float64], wrong: NDArray[np.bool_]) -> dict[str, Any]:
    try:
        limit = policy.limit(detector)
    except UserError as fault:
        return {"refused": str(fault).removeprefix("policy: ")}
    above = scores > limit.log_odds
    shares = {"false_alarms": above[~wrong], "caught": above[wrong], "passed": ~above, "passed_errors": wrong[~above]}
    return {"promise": limit.promise, "threshold": limit.risk} | {
        name: float(among.mean()) if len(among) else None for name, among in shares.items()
    }


def policies() -> dict[str, Policy]:
    """Those of conf/policy, by name."""
    from hneuro.config import config_folder

    return {file.stem: load_policy(file.stem) for file in sorted((config_folder() / "policy").glob("*.yaml"))}


def upper_bound(count: int, n: int, confidence: float) -> float:
    """Clopper and Pearson's one-sided bound on a rate of which `count` of `n` were seen."""
    from scipy.stats import binomtest

    return float(binomtest(count, n, alternative="less").proportion_ci(confidence, "exact").high) if n else 1.0


def _false_alarms(scores: NDArray[np.float64], wrong: NDArray[np.bool_], at_most: float, confidence: float) -> Limit:
    """The threshold is an order statistic, whose rank n alone decides: the bound is exact (Wilks, 1941)."""
    right = np.sort(scores[~wrong])
    n = len(right)
    allowed = sum(upper_bound(k, n, confidence) <= at_most for k in range(int(at_most * n) + 1))  # grows with k
    if not n or not allowed:
        needed = int(np.ceil(np.log(1 - confidence) / np.log(1 - at_most)))
        raise UserError(
            f"policy: {n} right answers were held out, too few to promise at most {at_most:.0%} false alarms with "
            f"confidence {confidence:.0%}: {needed} are needed"
        )
    said = f"at most {at_most:.0%} of right answers are flagged (confidence {confidence:.0%}, n = {n} right answers)"
    return Limit(float(right[n - allowed]), said)


def _passed_errors(scores: NDArray[np.float64], wrong: NDArray[np.bool_], at_most: float, confidence: float) -> Limit:
    """The widest of fixed coverages whose bound holds; all are bounded together (Bonferroni).

    Below an order statistic the others are a sample of what lies below it: their errors are binomial.
    """
    order = np.argsort(scores, kind="stable")
    n, each = len(scores), 1 - (1 - confidence) / len(COVERAGES)
    found: tuple[float, int] | None = None
    for coverage in COVERAGES:
        edge = int(np.ceil(coverage * n)) - 1
        below = scores < scores[order[edge]] if edge >= 0 else np.zeros(n, dtype=bool)
        if upper_bound(int(wrong[below].sum()), int(below.sum()), each) <= at_most:
            found = float(np.nextafter(scores[order[edge]], -np.inf)), int(below.sum())
    if found is None:
        raise UserError(
            f"policy: on {n} held-out answers, {int(wrong.sum())} of them hallucinated, no threshold keeps the errors "
            f"among passed answers below {at_most:.0%} with confidence {confidence:.0%}"
        )
    said = (
        f"at most {at_most:.0%} of passed answers are hallucinated (confidence {confidence:.0%}, n = {found[1]} passed)"
    )
    return Limit(found[0], said)


def load_policy(named: str) -> Policy:
    """A policy by its name in conf/policy, or a yaml file of one's own."""
    import yaml

    from hneuro.config import build, config_folder

    folder = config_folder() / "policy"
    file = Path(named) if named.endswith((".yaml", ".yml")) else folder / f"{named}.yaml"
    if not file.exists():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        raise UserError(f"there is no policy {named}: give a yaml file, or one of {known}")
    try:
        node = yaml.safe_load(read_text(file))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as fault:
        raise UserError(f"policy {file} cannot be read: {' '.join(str(fault).split())}") from fault
    policy = build(node, "policy")
    if not isinstance(policy, Policy):
        raise UserError(f"policy: {named} describes a {type(policy).__name__}, not a hneuro.serve.policy.Policy")
    return policy
