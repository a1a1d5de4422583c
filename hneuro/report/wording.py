"""Names and numbers as people read them. What was not measured shows as "-"."""

from __future__ import annotations

import math

from hneuro.records import ResultRow

MISSING = "-"

CONDITIONS = {
    "h_neurons": "H-Neurons",
    "ranked": "ranked neurons",
    "random": "random neurons",
    "layer_matched": "layer-matched neurons",
    "probe": "whole probe",
    "logprob": "answer log-probability",
    "entropy": "answer entropy",
    "length": "answer length",
}

SHORT = {"logprob": "log-prob."}

READINGS = {"compliance": "complying answers", "p_comply": "P(comply)", "accuracy": "right answers"}


def condition_name(condition: str) -> str:
    """ "h_neurons/random" -> "random neurons"; the controls of another set say whose they are."""
    baseline, _, added = condition.partition("+")
    if added:
        return f"{SHORT.get(baseline, plain(baseline))} + {condition_name(added)}"
    owner, _, kind = condition.partition("/")
    if not kind:
        return CONDITIONS.get(owner, plain(owner))
    name = CONDITIONS.get(kind, plain(kind))
    return name if owner == "h_neurons" else f"{name}, for {CONDITIONS.get(owner, plain(owner))}"


def plain(name: str) -> str:
    """ "false_premise" -> "false premise"."""
    return name.replace("_", " ")


def missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def number(value: float | None, digits: int = 3) -> str:
    return MISSING if value is None or math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    return MISSING if value is None or math.isnan(value) else f"{100 * value:.{digits}f} %"


def points(value: float | None, digits: int = 1) -> str:
    """A difference of two rates in percentage points, with its sign; never "-0.0"."""
    if value is None or math.isnan(value):
        return MISSING
    return _signed(100 * value, digits)


def p_text(value: float | None) -> str:
    """ "p = 0.012", "p < 0.001", or "no p"."""
    if value is None or math.isnan(value):
        return "no p"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def p_cell(value: float | None) -> str:
    return MISSING if missing(value) else p_text(value).removeprefix("p = ").removeprefix("p ")


def with_interval(row: ResultRow | None, digits: int = 3) -> str:
    """ "0.861 [0.812, 0.903]"."""
    if row is None or missing(row.value):
        return MISSING
    if missing(row.low) or missing(row.high):
        return number(row.value, digits)
    return f"{number(row.value, digits)} [{number(row.low, digits)}, {number(row.high, digits)}]"


def percent_interval(row: ResultRow | None, digits: int = 1) -> str:
    """ "42.3 % [36.1, 48.7]"."""
    if row is None or missing(row.value):
        return MISSING
    if row.low is None or row.high is None or missing(row.low) or missing(row.high):
        return percent(row.value, digits)
    return f"{percent(row.value, digits)} [{100 * row.low:.{digits}f}, {100 * row.high:.{digits}f}]"


def points_interval(row: ResultRow | None, digits: int = 1) -> str:
    """ "+19.2 [+12.0, +26.1]"."""
    if row is None or missing(row.value):
        return MISSING
    if missing(row.low) or missing(row.high):
        return points(row.value, digits)
    return f"{points(row.value, digits)} [{points(row.low, digits)}, {points(row.high, digits)}]"


def signed_interval(row: ResultRow | None, digits: int = 3) -> str:
    """ "+0.121 [+0.051, +0.190]"."""
    if row is None or missing(row.value):
        return MISSING
    value = _signed(row.value, digits)
    if row.low is None or row.high is None or missing(row.low) or missing(row.high):
        return value
    return f"{value} [{_signed(row.low, digits)}, {_signed(row.high, digits)}]"


def _signed(value: float, digits: int) -> str:
    """Never "-0.00"."""
    rounded = round(value, digits) + 0.0
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def subject(neuron_set: str) -> str:
    """A neuron set as the subject of a sentence."""
    return "H-Neurons" if neuron_set == "h_neurons" else f"the {condition_name(neuron_set)}"
