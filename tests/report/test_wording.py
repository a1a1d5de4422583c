from __future__ import annotations

import math

from hneuro.report import wording as say
from hneuro.result_records import ResultRow


def estimate(value: float, low: float | None, high: float | None) -> ResultRow:
    return ResultRow(stage="s", metric="m", dataset="d", condition="c", value=value, low=low, high=high, n=3)


def test_what_was_not_measured_is_a_dash() -> None:
    for show in (say.number, say.percent, say.points, say.p_cell):
        assert show(None) == show(math.nan) == "-"
    for show in (say.with_interval, say.percent_interval, say.points_interval, say.signed_interval):
        assert show(None) == show(estimate(math.nan, math.nan, math.nan)) == "-"
        assert "[" not in show(estimate(0.5, None, None)) + show(estimate(0.5, math.nan, math.nan))


def test_numbers() -> None:
    row = estimate(0.8612, 0.8, 0.9)
    assert say.with_interval(row) == "0.861 [0.800, 0.900]"
    assert say.percent_interval(row, 0) == "86 % [80, 90]"
    assert say.points_interval(estimate(0.1, -0.02, 0.2)) == "+10.0 [-2.0, +20.0]"
    assert say.points(-0.0001) == "0.0"
    assert say.signed_interval(estimate(0.1, -0.02, 0.2), 2) == "+0.10 [-0.02, +0.20]"
    assert say.signed_interval(estimate(-0.0, 0.0, 0.0), 1) == "0.0 [0.0, 0.0]"
    # What is narrower than its digits has more of them.
    assert say.points_interval(estimate(0.0, -0.0019, 0.0019), 0) == "0.0 [-0.2, +0.2]"
    assert say.with_interval(estimate(0.9996, 0.998, 1.0), 2) == "1.000 [0.998, 1.000]"
    assert (say.p_cell(0.0003), say.p_cell(0.0476), say.p_text(0.0003)) == ("< 0.001", "0.048", "p < 0.001")
    assert say.p_text(None) == "no p"


def test_names() -> None:
    assert say.condition_name("h_neurons") == "H-Neurons"
    assert say.condition_name("h_neurons/layer_matched") == "layer-matched neurons"
    assert say.condition_name("h_neurons/contribution_matched") == "contribution-matched neurons"
    assert say.condition_name("ranked/random") == "random neurons, for ranked neurons"
    assert say.condition_name("own_idea") == "own idea"
    assert say.condition_name("logprob+h_neurons") == "log-prob. + H-Neurons"
