"""Sparsity by both measures: in the table, in the figures, and as an answer to a question."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hneuro.report.explained import explained
from hneuro.report.figures.mechanism import sparsity_pictures
from hneuro.report.figures.style import house_style
from hneuro.report.tables.mechanism import sparsity_table
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow, Results


def changed(results: Results, **by_metric: float) -> Results:
    """The differences of one layer turned round: "active_share" and "hoyer" in layer 0."""

    def turned(row: ResultRow) -> ResultRow:
        name = row.metric.removesuffix("_minus_faithful")
        if row.stratum == "layer 0" and row.p_value is not None and name in by_metric:
            return replace(row, value=by_metric[name])
        return row

    return replace(results, rows=tuple(map(turned, results.rows)))


def test_the_table_has_a_line_a_layer_and_measure_with_the_corrected_difference(results: Results) -> None:
    table = sparsity_table(Tidy(results))
    lines = {(n["measure"], n["layer"]): n for n in table.numbers}
    assert set(lines) == {(m, at) for m in ("active_share", "hoyer") for at in ("all layers", "layer 0", "layer 1")}
    whole = lines["hoyer", "all layers"]
    assert (whole["faithful"], whole["hallucinated"], whole["difference"]) == (pytest.approx(0.4), 0.5, 0.1)
    assert (whole["p_value"], whole["p_holm"]) == (0.001, pytest.approx(0.006)), "of six differences"
    assert lines["active_share", "layer 1"]["p_holm"] == pytest.approx(0.8)
    shown = {row[1:3]: row for row in table.shown}
    assert shown["carry 90 %", "layer 0"][5] == "-10.0 [-13.0, -7.0]", "in points"
    assert shown["Hoyer", "layer 0"][5] == "+0.100 [+0.070, +0.130]"


def test_results_without_differences_have_the_shares(results: Results) -> None:
    old = replace(
        results, rows=tuple(r for r in results.rows if "hoyer" not in r.metric and "_minus_f" not in r.metric)
    )
    table = sparsity_table(Tidy(old))
    assert {(n["measure"], n["difference"]) for n in table.numbers} == {("active_share", None)}
    assert "density" not in dict(explained(Tidy(old)))
    with house_style():
        assert [p.name for p in sparsity_pictures(Tidy(old))] == ["sparsity_people"]


def test_each_measure_has_its_picture(results: Results) -> None:
    with house_style():
        pictures = {p.name: p for p in sparsity_pictures(Tidy(results))}
    assert list(pictures) == ["sparsity_people", "hoyer_people"]
    lines = {line.get_label(): list(line.get_ydata()) for line in pictures["hoyer_people"].figure.axes[0].lines}
    assert lines == {"hallucinated": [0.5, 0.5], "faithful": [pytest.approx(0.4)] * 2}
    assert "faithful 0.40, 0.40" in pictures["hoyer_people"].alt


def test_whether_familiar_inputs_are_denser_is_answered(results: Results) -> None:
    text = dict(explained(Tidy(results)))["density"]
    assert "On people 30.0 % of the neurons carry 90 % of a hallucinated answer, 40.0 % of a faithful one" in text
    assert "-10.0 [-13.0, -7.0] points, p = 0.006; in Hoyer's index +0.100 [+0.070, +0.130], p = 0.006" in text
    assert (
        "of 4 comparisons by either measure, faithful answers are the denser ones in 2 and the sparser ones in 0"
        in text
    )
    other = dict(explained(Tidy(changed(results, active_share=0.1))))["density"]
    assert "denser ones in 1 and the sparser ones in 1" in other
    both = dict(explained(Tidy(changed(results, active_share=0.1, hoyer=-0.1))))["density"]
    assert "denser ones in 0 and the sparser ones in 2" in both
