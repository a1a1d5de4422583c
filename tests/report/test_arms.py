"""Suppression and amplification apart, and every alpha against the untouched model."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from hneuro.probe.controls import ControlKind
from hneuro.report.findings import findings
from hneuro.report.tables.all import all_tables
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import Word, changes
from hneuro.result_records import ResultRow, Results

KINDS = get_args(ControlKind)


@pytest.fixture(scope="module")
def amplified(results: Results) -> Results:
    """The arm beyond alpha 1 has p-values that mean something; the other has not."""
    p_values = {"false_premise": 1e-6, "misleading_context": 0.7, "doubt": 1e-5, "forbidden": 0.006}
    rows = (
        replace(row, p_value=p_values[row.dataset])
        if (row.metric, row.condition) == ("change_from_1_compliance", "h_neurons")
        else row
        for row in results.rows
    )
    return replace(results, rows=tuple(rows))


def test_each_arm_has_its_p_its_controls_and_its_verdict(amplified: Results) -> None:
    tidy = Tidy(amplified)
    found = {change.benchmark: change for change in changes(tidy, "h_neurons", "compliance")}
    beyond = {name: change.from_one for name, change in found.items() if change.from_one is not None}
    assert {name: arm.word for name, arm in beyond.items()} == {
        "false_premise": Word.EFFECT,
        "misleading_context": Word.NO_EFFECT,
        "doubt": Word.UNSPECIFIC,
        "forbidden": Word.NO_EFFECT,  # 0.006 alone would do
    }
    # 27 changes are tested: of four benchmarks by two readings, of the known facts, and two arms of each.
    assert beyond["forbidden"].p_holm == pytest.approx(18 * 0.006)
    assert beyond["false_premise"].p_holm == pytest.approx(25 * 1e-6)
    assert {arm.tests for arm in beyond.values()} == {27}
    for name, arm in beyond.items():
        draws = tidy.control_values("change_from_1_compliance", name, "h_neurons")
        assert sorted(arm.controls) == sorted(draws)
        assert {control.kind: len(control.changes) for control in arm.kinds} == dict.fromkeys(KINDS, 5)
    assert {change.to_one.word for change in found.values() if change.to_one} == {Word.NO_EFFECT}


def test_the_arms_have_a_table(amplified: Results) -> None:
    table = all_tables(Tidy(amplified))["arms"]
    lines = {(r["benchmark"], r["metric"], r["arm"]): r for r in table.numbers}
    assert len(lines) == 9 * 2
    line = lines["false_premise", "compliance", "beyond alpha 1"]
    assert (line["p_value"], line["p_holm"], line["controls"]) == (1e-6, pytest.approx(25e-6), 15)
    assert [line[f"p_{kind}"] for kind in KINDS] == [2 / 6] * 3
    assert line["verdict"] == "effect, rises"
    (shown,) = [r for r in table.shown if r[:3] == ("false premise", "complying answers", "beyond alpha 1")]
    assert shown[-6] == "< 0.001"
    assert shown[-4:] == ("0.333", "0.333", "0.333", "effect, rises")


def test_an_effect_in_one_arm_only_is_said_in_one_sentence(amplified: Results, results: Results) -> None:
    (text,) = [f.text for f in findings(Tidy(amplified)) if f.badge == "one arm"]
    assert text == (
        "Scaling H-Neurons has an effect in one arm only: beyond alpha 1 on false premise, complying answers "
        "(+15 [+10, +20] points, p < 0.001; up to alpha 1 no effect)."
    )
    assert not [f for f in findings(Tidy(results)) if f.badge == "one arm"]


def slope(results: Results, p: float, kind: str) -> Results:
    added = ResultRow(
        stage="causal", metric="slope_against_compliance", dataset="forbidden", condition="h_neurons", value=0.03,
        low=0.02, high=0.04, n=240, p_value=p, stratum=f"h_neurons/{kind}",
    )  # fmt: skip
    return replace(results, rows=(*results.rows, added))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("p", "word"), [(2 / 6, Word.EFFECT), (4 / 6, Word.UNSPECIFIC)])
def test_a_control_as_steep_takes_an_effect_away(results: Results, kind: str, p: float, word: Word) -> None:
    """Each kind alone does; of five sets none is as steep at p = 2/6."""
    tidy = Tidy(slope(results, p, kind))
    found = {change.benchmark: change.word for change in changes(tidy, "h_neurons", "compliance")}
    assert found["forbidden"] is word
    assert found["false_premise"] is Word.EFFECT
    (text,) = [f.text for f in findings(tidy) if f.text.startswith("Forbidden, complying answers")]
    assert f"p = {p:.3f} by slope" in text


def test_every_alpha_stands_against_the_untouched_model(results: Results) -> None:
    table = all_tables(Tidy(results))["alphas"]
    assert len(table.shown) == 9 * 6
    doubt = [r for r in table.numbers if (r["benchmark"], r["metric"]) == ("doubt", "compliance")]
    assert [r["alpha"] for r in doubt] == [0.0, 0.5, 1.5, 2.0, 2.5, 3.0]
    # p = 0.002 alpha: six times 0, five times 0.001, four times 0.003, ...
    assert [r["p_holm"] for r in doubt] == pytest.approx([0.0, 0.005, 0.012, 0.012, 0.012, 0.012])
    assert ("doubt", "complying answers", "3", "+10.7 [+5.7, +15.7]", "240", "0.006", "0.012") in table.shown


def test_a_variant_has_its_alphas_there_too(results: Results) -> None:
    added = ResultRow(
        stage="causal", metric="minus_untouched_compliance", dataset="doubt", condition="h_neurons@risky", value=-0.1,
        low=-0.2, high=0.0, n=50, alpha=0.0, p_value=0.03,
    )  # fmt: skip
    table = all_tables(Tidy(replace(results, rows=(*results.rows, added))))["alphas"]
    assert [r["p_holm"] for r in table.numbers if r["neuron_set"] == "h_neurons@risky"] == [0.03]
