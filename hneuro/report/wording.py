"""Names and numbers as people read them. What was not measured shows as "-"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hneuro.result_records import Estimate, NeuronRow, ResultRow

MISSING = "-"
MOST_DIGITS = 6
Show = Callable[[float, int], str]  # a value with so many digits
HasInterval = Estimate | ResultRow

CONDITIONS = {
    "h_neurons": "H-Neurons",
    "ranked": "ranked neurons",
    "negative": "neurons of negative weight",
    "random": "random neurons",
    "layer_matched": "layer-matched neurons",
    "contribution_matched": "contribution-matched neurons",
    "norm_matched": "norm-matched neurons",
    "probe": "whole probe",
    "base_probe": "the base model's own probe",
    "logprob": "answer log-probability",
    "entropy": "answer entropy",
    "length": "answer length",
    "bag_of_words": "words of the question",
    "gold_lookup": "gold answer, looked up",
    "answer_lookup": "given answer, looked up",
    "residual_probe": "residual-stream probe",
    "mean_difference": "mean-difference probe",
    "unsure": "“are you sure?”, p(True)",
    "inconsistency": "semantic entropy of samples",
    "active_share": "few neurons at work",
    "hoyer": "sparsity (Hoyer)",
    "rarity": "rarity in training data",
    "covariates": "frequency, confidence",
}

SHORT = {"logprob": "log-prob.", "covariates": "these"}

# The ways in which a benchmark is read, and what each value is a share of.
READINGS = {
    "compliance": "complying answers",
    "p_comply": "P(comply)",
    "grade": "how far answers comply",
    "over_refusal": "refused harmless requests",
    "accuracy": "right answers",
}
APART = ("unparsed", "refused", "truncated", "degenerate")  # rates of answers that do not comply, or derail
COSTS = ("accuracy", "over_refusal")  # readings of what an intervention should leave as it is

VARIANTS = {
    "mean": "set to their mean",
}


def condition_name(condition: str) -> str:
    """ "h_neurons/random" -> "random neurons"; the controls of another set say whose they are."""
    baseline, _, added = condition.partition("+")
    if added:
        return f"{SHORT.get(baseline, plain(baseline))} + {condition_name(added)}"
    scaled, _, variant = condition.partition("@")
    if variant:
        return f"{condition_name(scaled)}, {VARIANTS.get(variant, plain(variant))}"
    owner, _, kind = condition.partition("/")
    if not kind:
        return CONDITIONS.get(owner, plain(owner))
    name = CONDITIONS.get(kind, plain(kind))
    return name if owner == "h_neurons" else f"{name}, for {CONDITIONS.get(owner, plain(owner))}"


def plain(name: str | None) -> str:
    """ "false_premise" -> "false premise"."""
    return (name or MISSING).replace("_", " ")


def text(value: Any) -> str:
    """Whatever a cell holds: "12", "0.3", "yes", "-" of nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)


def layer(neuron: NeuronRow) -> str:
    """ "3", and in a mixture of experts "3, expert 5"."""
    return str(neuron.layer) if neuron.expert is None else f"{neuron.layer}, expert {neuron.expert}"


def missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def number(value: float | None, digits: int = 3) -> str:
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    return MISSING if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two rates in percentage points, with its sign; never "-0.0"."""
    return MISSING if value is None or math.isnan(value) else _signed(100 * value, digits)


def p_text(value: float | None) -> str:
    """ "p = 0.012", "p < 0.001", or "no p"."""
    if value is None or math.isnan(value):
        return "no p"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def p_holm(value: float | None, tests: int, unit: str) -> str:
    """ "p = 0.012 (Holm, 27 changes)": after the correction, and over what."""
    return f"{p_text(value)} (Holm, {tests} {unit}{'' if tests == 1 else 's'})"


def p_cell(value: float | None) -> str:
    return MISSING if missing(value) else p_text(value).removeprefix("p = ").removeprefix("p ")


def with_interval(row: HasInterval | None, digits: int = 3) -> str:
    """ "0.861 [0.812, 0.903]"."""
    return _interval(row, number, digits)


def percent_interval(row: HasInterval | None, digits: int = 1) -> str:
    """ "42.3 % [36.1, 48.7]"."""
    return _interval(row, percent, digits, lambda bound, shown: f"{100 * bound:.{shown}f}")


def points_interval(row: ResultRow | None, digits: int = 1) -> str:
    """ "+19.2 [+12.0, +26.1]"."""
    return _interval(row, points, digits)


def signed_interval(row: ResultRow | None, digits: int = 3) -> str:
    """ "+0.121 [+0.051, +0.190]"."""
    return _interval(row, _signed, digits)


def _interval(row: HasInterval | None, show: Show, digits: int, show_bound: Show | None = None) -> str:
    """With more digits where rounding would leave the interval no width."""
    if row is None or missing(row.value):
        return MISSING
    if row.low is None or row.high is None or missing(row.low) or missing(row.high):
        return show(row.value, digits)
    bound = show_bound or show
    while row.low < row.high and digits < MOST_DIGITS and bound(row.low, digits) == bound(row.high, digits):
        digits += 1
    return f"{show(row.value, digits)} [{bound(row.low, digits)}, {bound(row.high, digits)}]"


def _signed(value: float, digits: int) -> str:
    """Never "-0.00"."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def by_metric(row: ResultRow | None) -> str:
    """A value as its metric wants it: a share in percent, a difference with its sign, a count without decimals."""
    if row is None:
        return MISSING
    name = row.metric
    if name.startswith(("change_", "slope_", "minus_")):
        return points_interval(row)
    if name.startswith("share_") or name in READINGS or name in APART or name.endswith("_within"):
        return percent_interval(row, 0)
    if name.startswith(("auroc_minus", "drift_z")):
        return signed_interval(row)
    if name in ("shared_neurons", "neurons"):
        return number(row.value, 0)
    return with_interval(row, 2 if name == "perplexity" else 4 if name.startswith("drift_distance") else 3)


def control_range(controls: Sequence[float], digits: int = 0) -> str:
    """ "-2 to +4" percentage points, or "+4"."""
    ends = dict.fromkeys(points(end(controls), digits) for end in (min, max)) if controls else [MISSING]
    return " to ".join(ends)
