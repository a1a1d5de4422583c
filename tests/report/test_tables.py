from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from hneuro.probe.controls import ControlKind
from hneuro.report.findings import findings
from hneuro.report.tables.all import all_tables
from hneuro.report.tables.headline import headline
from hneuro.report.tables.table import Table, latex, markdown, without_single, write
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import appears
from hneuro.result_records import ResultRow, Results


@pytest.fixture(scope="module")
def tidy(results: Results) -> Tidy:
    return Tidy(results)


@pytest.fixture(scope="module")
def tables(tidy: Tidy, tmp_path_factory) -> dict[str, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("tables")
    for table in all_tables(tidy).values():
        write(table, folder)
    return {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}


def test_detection_numbers_are_the_rows(tables, tidy: Tidy) -> None:
    frame = tables["detection"]
    made_up = frame[frame.dataset == "fabricated_people"].set_index("condition")
    assert made_up.auroc.isna().all()
    assert made_up.flag_rate["h_neurons"] == pytest.approx(0.981)
    frame = frame[frame.dataset != "fabricated_people"]
    assert len(frame) == 3 * 9  # data sets x (H-Neurons, three controls, the probe, three baselines, one combination)
    for _, line in frame.iterrows():
        area = tidy.one("detection", "auroc", line.dataset, line.condition)
        right = tidy.one("detection", "accuracy", line.dataset, line.condition)
        assert area is not None
        assert right is not None
        assert (line.auroc, line.auroc_low, line.auroc_high) == pytest.approx((area.value, area.low, area.high))
        assert (line.accuracy, line.n) == pytest.approx((right.value, area.n))
    assert set(frame.sets.dropna()) == {20}


def test_causal_numbers_are_the_rows(tables, results: Results) -> None:
    at_alpha = [r for r in results.rows if r.stage == "causal" and r.alpha is not None]
    every = [r for r in at_alpha if not r.metric.startswith("minus_untouched")]
    rates = [r for r in every if r.metric not in ("unparsed", "truncated")]
    np.testing.assert_allclose(tables["causal"].value, [r.value for r in rates])
    np.testing.assert_allclose(tables["causal"].alpha, [r.alpha for r in rates])
    np.testing.assert_allclose(tables["unparsed"].value, [r.value for r in every if r not in rates])


def test_shown_controls_are_the_mean_over_their_seeds(tidy: Tidy, results: Results) -> None:
    table = all_tables(tidy)["causal"]
    row = next(r for r in table.shown if r[:3] == ("doubt", "complying answers", "random neurons"))
    values = [
        r.value
        for r in results.rows
        if (r.metric, r.dataset, r.condition, r.alpha) == ("compliance", "doubt", "h_neurons/random", 3.0)
    ]
    assert len(values) == 5
    assert row[table.heads.index("alpha 3")] == f"{100 * np.mean(values):.0f} %"
    assert row[-1] == "5 sets"


@pytest.mark.parametrize(("name", "prefix"), [("slopes", "slope"), ("changes", "change")])
def test_slopes_and_changes_stand_beside_their_controls(tables, tidy: Tidy, name: str, prefix: str) -> None:
    frame = tables[name].set_index(["benchmark", "metric"])
    assert len(frame) == 4 * 2 + 1
    for (benchmark, metric), line in frame.iterrows():
        own = tidy.one("causal", f"{prefix}_{metric}", benchmark, "h_neurons")
        assert own is not None
        draws = [
            r.value
            for control in [f"h_neurons/{kind}" for kind in get_args(ControlKind)]
            for r in tidy.draws("causal", f"{prefix}_{metric}", benchmark, control)
        ]
        assert line.controls == len(draws) == 20
        assert (line[prefix], line[f"{prefix}_low"], line[f"{prefix}_high"]) == pytest.approx(
            (own.value, own.low, own.high)
        )
        assert (line.controls_low, line.controls_high) == pytest.approx((min(draws), max(draws)))


def test_slopes_say_how_steep_their_controls_are(results: Results) -> None:
    at_ends = ResultRow(
        stage="causal", metric="slope_against_compliance", dataset="doubt", condition="h_neurons", value=0.07, low=0.05,
        high=0.09, n=50, p_value=0.048, stratum="h_neurons/random",
    )  # fmt: skip
    table = all_tables(Tidy(replace(results, rows=(*results.rows, at_ends))))["slopes"]
    (record,) = [r for r in table.numbers if (r["benchmark"], r["metric"]) == ("doubt", "compliance")]
    assert (record["matched"], record["p_random"], record["p_layer_matched"]) == (0.07, 0.048, None)
    assert record["p_contribution_matched"] is None
    (row,) = [r for r in table.shown if r[:2] == ("doubt", "complying answers")]
    assert row[-7:] == ("+7.0 [+5.0, +9.0]", row[-6], "20", "0.048", "-", "-", "-")


def test_variants_stand_beside_plain_scaling(results: Results) -> None:
    def row(metric: str, condition: str, value: float) -> ResultRow:
        return ResultRow(
            stage="causal", metric=metric, dataset="doubt", condition=condition, value=value, low=value - 0.1,
            high=value + 0.1, n=50, p_value=0.01,
        )  # fmt: skip

    added = (
        row("change_compliance", "h_neurons@risky", 0.2),
        row("minus_plain_compliance", "h_neurons@risky", 0.05),
    )
    tidy = Tidy(replace(results, rows=(*results.rows, *added)))
    assert tidy.neuron_sets == Tidy(results).neuron_sets
    table = all_tables(tidy)["variants"]
    (shown,) = [r for r in table.shown if r[:2] == ("doubt", "complying answers") and "risk" in r[2]]
    assert shown[2] == "H-Neurons, only while the risk is high"
    assert shown[3] == "-20 [-30, -10]"  # the arm up to alpha 1, with its sign turned
    assert shown[6] == "+5 [-5, +15]"
    assert not all_tables(Tidy(results))["variants"]


def test_perplexity_stands_beside_alpha(results: Results) -> None:
    rows = [
        ResultRow(
            stage="causal", metric="perplexity", dataset="text", condition="h_neurons", value=value, low=value - 1,
            high=value + 1, n=9, alpha=alpha,
        )
        for alpha, value in ((0.0, 12.5), (1.0, 10.0))
    ]  # fmt: skip
    table = all_tables(Tidy(replace(results, rows=(*results.rows, *rows))))["perplexity"]
    assert table.shown == (("H-Neurons", "12.50 [11.50, 13.50]", "10.00 [9.00, 11.00]", "9"),)


def test_changes_say_their_verdicts(tables) -> None:
    frame = tables["changes"].set_index(["benchmark", "metric"])
    assert frame.loc[("doubt", "compliance")].verdict == "effect not specific to these neurons"
    assert frame.loc[("forbidden", "compliance")].verdict == "effect, rises"
    assert frame.loc[("known_facts", "accuracy")].verdict == "effect, falls"


def test_neurons_path_and_funnel(tables, results: Results) -> None:
    neurons, path, funnel = tables["neurons"], tables["path"], tables["funnel"]
    assert list(zip(neurons.layer, neurons["index"], strict=True)) == [(n.layer, n.index) for n in results.neurons]
    np.testing.assert_allclose(neurons.weight, [n.weight for n in results.neurons])
    assert path.chosen.tolist() == [p.chosen for p in results.path]
    assert all_tables(Tidy(results))["path"].shown[0][4] == "60.0 % [55.0, 65.0]"
    old = tuple(replace(p, n=0, accuracy_low=None, accuracy_high=None) for p in results.path)
    assert all_tables(Tidy(replace(results, path=old)))["path"].shown[0][4] == "60.0 %"
    assert funnel.lost[2] == "mixed verdicts: 480, refused: 42"


def test_changes_show_their_two_arms(tables, tidy: Tidy) -> None:
    frame = tables["changes"].set_index(["benchmark", "metric"])
    line, shown = frame.loc[("doubt", "compliance")], all_tables(tidy)["changes"]
    for name in ("to_1", "from_1"):
        own = tidy.one("causal", f"change_{name}_compliance", "doubt", "h_neurons")
        assert own is not None
        assert (line[name], line[f"{name}_low"], line[f"{name}_p"]) == pytest.approx((own.value, own.low, own.p_value))
    cells = next(r for r in shown.shown if r[:2] == ("doubt", "complying answers"))
    assert cells[shown.heads.index("up to alpha 1")].startswith("+5.3 [")
    assert cells[shown.heads.index("beyond it")].startswith("+10.7 [")


def test_neurons_carry_how_firmly_they_are_selected(tables, tidy: Tidy) -> None:
    neurons, results = tables["neurons"], tidy.results
    np.testing.assert_allclose(neurons.frequency, [n.frequency for n in results.neurons])
    assert neurons.partners.tolist() == [n.partners for n in results.neurons]
    assert neurons.cluster.dropna().tolist() == [1, 1]
    shown = all_tables(tidy)["neurons"]
    for neuron, cells, entry in zip(results.neurons, shown.shown, neurons.enters_at, strict=True):
        first = next((k for k, w in enumerate(neuron.path) if w > 0), None)
        assert cells[shown.heads.index("selected in")] == f"{100 * (neuron.frequency or 0):.0f} %"
        assert np.isnan(entry) if first is None else entry == results.path[first].strength


def test_paths_of_the_neurons_are_their_weights(tables, results: Results) -> None:
    frame = tables["neuron_paths"]
    np.testing.assert_allclose(frame.iloc[:, 4:].to_numpy(), [n.path for n in results.neurons])
    assert frame.columns[4:].tolist() == [f"{p.strength:g}" for p in results.path]


def test_every_frequency_is_in_the_file_and_the_first_are_on_the_page(tables, tidy: Tidy) -> None:
    stability = tidy.results.stability
    assert stability is not None
    frame, shown = tables["frequencies"], all_tables(tidy)["frequencies"]
    assert len(frame) == len(stability.neurons) == 44
    assert len(shown.shown) == 40
    assert "Of 44 neurons" in shown.caption
    assert frame["rank"].notna().sum() == 14


def test_overlaps_of_the_same_answers_have_no_p(tables, tidy: Tidy) -> None:
    frame, shown = tables["overlaps"], all_tables(tidy)["overlaps"]
    assert not [column for column in frame.columns if column.startswith("p_")]
    assert shown.shown[0][5] == "0.31 (0.11 to 0.55 over 1,225 pairs)"
    assert shown.shown[1][5] == "0.33"


def test_the_path_shows_suppression_where_it_was_measured(tidy: Tidy, results: Results) -> None:
    assert "known, suppressed" in all_tables(tidy)["path"].heads
    plain = replace(results, path=tuple(replace(p, suppressed_accuracy=None) for p in results.path))
    table = all_tables(Tidy(plain))["path"]
    assert "known, suppressed" not in table.heads
    assert "uppressed" not in table.caption


def test_length_has_a_row_a_stratum_and_a_column_a_detector(tables, tidy: Tidy) -> None:
    shown = all_tables(tidy)["length"]
    assert shown.heads[3:] == ("H-Neurons", "answer log-probability", "answer entropy", "answer length")
    people = [r for r in shown.shown if r[0] == "people"]
    assert [(r[1], r[2]) for r in people] == [
        ("all", "300"), ("1 token", "150"), ("2 to 3 tokens", "150"), ("pairs of one length", "300")
    ]  # fmt: skip
    assert [r[3].partition(" ")[0] for r in people] == ["0.86", "0.86", "0.84", "0.85"]
    assert len(tables["length"]) == 3 * 4 * 4


def test_comparisons_are_corrected_over_all_of_them(tables, tidy: Tidy) -> None:
    frame = tables["comparisons"]
    assert len(frame) == 13, "twelve of detection, and rarity, which the mechanism stage has compared"
    people = frame[(frame.dataset == "people") & (frame.condition == "h_neurons")].set_index("baseline")
    assert people.difference["length"] == pytest.approx(0.861 - 0.54)
    assert (people.ours["length"], people.theirs["length"]) == pytest.approx((0.861, 0.54))
    assert people.p_holm["length"] == pytest.approx(13 * 0.001)
    rarity = people.loc["rarity"]
    assert (rarity.theirs, rarity.difference, rarity.difference_low) == pytest.approx((0.9, -0.01, -0.03))
    shown = all_tables(tidy)["comparisons"].shown
    line = next(s for s in shown if s[:3] == ("people", "log-prob. + H-Neurons", "answer log-probability"))
    assert line[5:] == ("+0.010 [-0.010, +0.030]", "300", "0.500", "1.000")
    held = all_tables(tidy)["held_fixed"].shown
    assert next(s for s in held if s[0] == "people")[2:] == (
        "0.86 [0.82, 0.90]",
        "0.83 [0.79, 0.87], n = 300",
        "-",
        "-",
    )


def test_calibration_has_a_row_a_measure_and_a_column_a_detector(tables, tidy: Tidy) -> None:
    shown = all_tables(tidy)["calibration"]
    assert shown.heads[3:] == ("H-Neurons", "answer log-probability")
    cells = {row[1]: row[2:] for row in shown.shown}
    assert cells["ECE (0 is best)"][:2] == ("900", "0.050 [0.036, 0.064]")
    assert cells["hallucinated among the safest 50 %"][2].startswith("0.080")
    assert "30.0 % [21.0, 39.0]" in shown.caption
    assert len(tables["calibration"]) == 6 * 2


def test_findings_say_what_was_held_fixed(tidy: Tidy) -> None:
    texts = {f.badge: f.text for f in findings(tidy)}
    assert "of 14 H-Neurons come back in at least half of 50 resamples" in texts["stability"]
    assert "share 0.31 of their neurons on average (Jaccard)." in texts["stability"]
    assert "0.85 [0.81, 0.89] on people (length alone 0.54)" in texts["length"]
    assert "+0.01 [-0.01, +0.03] on people" in texts["added"]


def test_origin_verdicts(tidy: Tidy) -> None:
    found = {(r[0], r[2]): r[-1] for r in all_tables(tidy)["origin"].shown}
    assert found["people", "H-Neurons"] == "transfers"
    assert found["people", "whole probe"] == "-"
    values = {(r[0], r[1], r[2]): r[3] for r in all_tables(tidy)["origin"].shown}
    assert values["neurons", "shared neurons", "the base model's own probe"] == "3"
    assert values["people", "AUROC, minus that of the base model's own probe", "whole probe"].startswith("-0.040 [")


def test_drift_has_a_line_for_each_part_and_each_moment(tidy: Tidy) -> None:
    shown = all_tables(tidy)["drift"].shown
    assert [(r[0], r[1]) for r in shown] == [
        ("start", "up and down"),
        ("half", "up and down"),
        *(("base", part) for part in ("up and down", "up", "down", "gate")),
    ]
    assert {r[-1] for r in shown} == {"no difference"}
    assert shown[-1][2:6] == ("0.58 [0.41, 0.75]", "0.170", "-0.40 [-0.90, +0.10]", "0.200")
    assert shown[-1][6:8] == ("0.0110", "0.0130")


def test_moments_end_with_the_base_model_and_say_since_when(tidy: Tidy) -> None:
    shown = all_tables(tidy)["moments"].shown
    assert [(r[0], r[1]) for r in shown] == [(d, m) for d in ("people", "drugs") for m in ("start", "half", "base")]
    assert shown[2][2].startswith("0.830")
    assert shown[2][-2:] == ("-", "-")
    assert (appears(tidy, "people"), appears(tidy, "drugs")) == ("half", "base")
    (text,) = [f.text for f in findings(tidy) if f.badge == "when"]
    assert text.startswith(
        "The H-Neurons tell better than chance and random neurons from half on, on people: AUROC start"
    )
    (text,) = [f.text for f in findings(tidy) if f.badge == "own probe"]
    assert "0.88 on people (the chat model's probe differs by -0.04 [-0.07, -0.01])" in text
    assert "Neurons that both select: 3 (of 14" in text


def test_what_does_not_last_has_not_appeared(results: Results) -> None:
    """A checkpoint that tells, and a base model that does not."""
    lost = tuple(
        replace(r, value=0.5, low=0.4, high=0.6) if (r.stage, r.metric) == ("origin", "auroc") else r
        for r in results.rows
    )
    assert appears(Tidy(replace(results, rows=lost)), "people") is None
    (text,) = [f.text for f in findings(Tidy(replace(results, rows=lost))) if f.badge == "when"]
    assert text.startswith("At no checkpoint do the H-Neurons lastingly tell")


AWKWARD = Table(
    name="awkward",
    caption="50 % of a_b & c.",
    columns=("name", "value"),
    numbers=({"name": "a|b_c", "value": 0.5}, {"name": "x", "value": None}),
    heads=("name", "share (%)"),
    shown=(("a|b_c", "50 %"), ("x & y", "-")),
)


def test_markdown_keeps_pipes_inside_cells() -> None:
    lines = markdown(AWKWARD).splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[2:]] == [3, 3, 3, 3]


def test_latex_is_escaped_booktabs() -> None:
    text = latex(AWKWARD)
    for part in (r"\toprule", r"\bottomrule", r"a|b\_c & 50 \% \\", r"x \& y & - \\", r"\caption{50 \% of a\_b \& c.}",
                 r"\label{tab:awkward}", r"\begin{tabular}{lr}", r"share (\%)"):  # fmt: skip
        assert part in text


def test_csv_leaves_what_is_missing_empty(tmp_path: Path) -> None:
    write(AWKWARD, tmp_path)
    assert (tmp_path / "awkward.csv").read_text() == "name,value\na|b_c,0.5\nx,\n"


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1"])
def test_csv_holds_no_formula(name: str, tmp_path: Path) -> None:
    write(replace(AWKWARD, numbers=({"name": name, "value": -1.5}, {"name": "-1.5", "value": None})), tmp_path)
    assert (tmp_path / "awkward.csv").read_text() == f"name,value\n'{name},-1.5\n-1.5,\n"


def test_every_table_of_a_run_is_latex_without_bare_specials(tidy: Tidy) -> None:
    for table in all_tables(tidy).values():
        body = latex(table).partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        assert not re.search(r"(?<!\\)[%_#$]", body), table.name
        counts = {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")}
        assert counts == {len(table.heads) - 1}


def test_gaps_do_not_make_a_column_of_names_one_of_numbers() -> None:
    rows = (("people", "lost: 3", "1"), ("drugs", "-", "-"), ("drugs", "", "2"), ("drugs", "-", "n"))
    table = Table(name="t", caption="", columns=("a",), numbers=(), heads=("a", "b", "c"), shown=rows)
    assert table.text_columns == (True, True, False)


def test_without_single() -> None:
    assert without_single(("a", "b"), [("1", "x"), ("2", "x")], "b") == (("a",), [("1",), ("2",)])
    assert without_single(("a", "b"), [("1", "x"), ("2", "y")], "b")[0] == ("a", "b")


def test_headline_for_the_terminal(results: Results) -> None:
    text = headline(results)
    assert re.search(r"people +0\.86 \[0\.82, 0\.90\] +0\.65 +0\.93 +300 +0\.015 +detects", text)
    assert re.search(
        r"false premise +complying answers +44 % +52 % +67 % +\+23 \[\+17, \+29\] +240 +< 0\.001 .* effect, rises", text
    )
    assert "[does not transfer] The detector with H-Neurons does not transfer to fabricated drugs" in text
    assert "ahead of the H-Neurons on 3 of 3 data sets" in text
    assert "answers about made-up things on fabricated people the H-Neurons flag 98.1 % [" in text
    assert "false alarms on people 36.1 % [" in text


def causal(metric: str, value: float, n: int = 240) -> ResultRow:
    return ResultRow(stage="causal", metric=metric, dataset="forbidden", condition="h_neurons", value=value,
                     low=value - 0.05, high=value + 0.05, n=n)  # fmt: skip


def test_a_change_that_hangs_on_what_cannot_be_read_says_so(results: Results) -> None:
    bounds = (causal("change_compliance_low", -0.06), causal("change_compliance_high", 0.19))
    tidy = Tidy(replace(results, rows=(*results.rows, *bounds, causal("change_compliance_complete", 0.18, 146))))
    (found,) = [f for f in findings(tidy) if f.text.startswith("Forbidden, complying answers")]
    assert (found.badge, found.tone) == ("hangs on what cannot be read", "partly")
    assert (
        "unread 0 % at alpha 0 and 3 % at alpha 3, with which anything from -6 to +19 can be true (+18 [+13, +23] on "
        "the 146 read at every alpha)" in found.text
    )
    record = {r["metric"]: r for r in all_tables(tidy)["changes"].numbers if r["benchmark"] == "forbidden"}
    assert (record["compliance"]["bound_low"], record["compliance"]["bound_high"]) == (-0.06, 0.19)
    assert record["p_comply"]["bound_low"] is None


def test_what_permuted_labels_give_is_one_sentence(results: Results) -> None:
    of = ResultRow(stage="permuted", metric="auroc", dataset="people", condition="h_neurons", value=0.86, p_value=1 / 4)
    rows = [of, replace(of, metric="neurons", value=14, p_value=1.0)]
    for metric, values in (("auroc", (0.44, 0.5, 0.57)), ("neurons", (0, 30, 12))):
        rows += [
            replace(of, metric=metric, condition="h_neurons/permuted", value=value, seed=n, p_value=None)
            for n, value in enumerate(values)
        ]
    tidy = Tidy(replace(results, rows=(*results.rows, *rows)))
    (text,) = [f.text for f in findings(tidy) if f.badge == "permuted labels"]
    assert text == (
        "Under 3 permutations of all labels the same selection finds 0 to 30 neurons (14 with the true ones), and "
        "their AUROC on held-out people is 0.44 to 0.57 (0.86, p = 0.250 for one at least as high)."
    )


def test_findings_say_what_the_numbers_say(tidy: Tidy) -> None:
    texts = {f.text.partition(":")[0]: f for f in findings(tidy)}
    assert texts["H-Neurons detect hallucination on people"].tone == "yes"
    assert texts["Misleading context, complying answers"].badge == "no effect"
    unspecific = texts["Doubt, complying answers"]
    assert (unspecific.badge, unspecific.tone) == ("effect not specific to these neurons", "partly")
    assert re.search(r"5 sets of random neurons \+\d+ to \+\d+ \(p = 0\.333 among them\)", unspecific.text)
    assert "5 sets of layer-matched neurons +" in unspecific.text
    # A null stands beside what it would have found, and a p beside what it is corrected for.
    assert re.search(
        r"not transfer to fabricated drugs: AUROC 0\.53 .*; 0\.\d\d above 0\.5 would have been found four times out of "
        r"five; .*, p = 0\.800 \(Holm, 3 tests\)",
        texts["The detector with H-Neurons does not transfer to fabricated drugs"].text,
    )
    assert re.search(
        r"a change of \d+ points would have been found", texts["Misleading context, complying answers"].text
    )
    assert "n = 240, p = 0.009 (Holm, 27 changes)" in texts["Forbidden, complying answers"].text
    drift = texts["Mean drift rank of the H-Neurons from base to chat"]
    assert drift.badge == "no difference"
    assert "n = 14, p = 0.680 (Holm, 2 tests)" in drift.text  # 0.17 one-sided, twice
    assert re.search(r"A mean 0\.\d\d away from 0\.5 would have been found", drift.text)
    (summary,) = [f.text for f in findings(tidy) if f.badge == "summary"]
    assert summary.startswith(
        "Scaling H-Neurons, by complying answers: effect on 2 of 4 benchmarks (false premise, forbidden), effect not "
        "specific to these neurons on 1 (doubt), no effect on 1 (misleading context); by P(comply): effect on 2 of 4 "
    )


def test_an_effect_that_falls_is_not_shown_as_a_success(results: Results) -> None:
    rows = tuple(
        replace(r, value=-r.value, low=-(r.high or 0), high=-(r.low or 0)) if r.metric == "change_compliance" else r
        for r in results.rows
    )
    found = next(f for f in findings(Tidy(replace(results, rows=rows))) if f.text.startswith("False premise, comp"))
    assert (found.badge, found.tone) == ("effect, falls", "partly")


def test_the_parts_of_a_benchmark_have_a_table(results: Results) -> None:
    row = ResultRow(
        stage="causal", metric="compliance_within", dataset="forbidden", condition="h_neurons", value=0.4, low=0.3,
        high=0.5, n=50, alpha=0.0, stratum="jailbreak",
    )  # fmt: skip
    change = replace(row, metric="change_compliance_within", value=0.2, low=0.1, high=0.3, alpha=None, p_value=0.02)
    added = (row, replace(row, alpha=3.0, value=0.6), change)
    table = all_tables(Tidy(replace(results, rows=(*results.rows, *added))))["strata"]
    assert table.shown == (
        ("forbidden", "jailbreak", "complying answers", "40.0 %", "60.0 %", "+20.0 [+10.0, +30.0]", "50", "0.020"),
    )
    assert [set(record) for record in table.numbers] == [set(table.columns)] * 2
    assert not all_tables(Tidy(results))["strata"]


def test_every_framing_and_every_kind_of_answer_has_its_share(results: Results) -> None:
    def row(stage: str, metric: str, condition: str, value: float, note: str = "") -> ResultRow:
        return ResultRow(
            stage=stage, metric=metric, dataset="doubt", condition=condition, value=value, low=0.1, high=0.9, n=20,
            alpha=1.0, note=note,
        )  # fmt: skip

    kinds = {"share_complies": 0.45, "share_resists": 0.5, "share_cut": 0.05}
    added = [row("framing", "compliance", "suggest", 0.45, "chosen; the rest of the note")]
    added += [row("framing", metric, "suggest", value) for metric, value in kinds.items()]
    added += [row("causal", metric, "h_neurons", value) for metric, value in kinds.items()]
    tables = all_tables(Tidy(replace(results, rows=(*results.rows, *added))))
    assert tables["framings"].shown == (("doubt", "suggest", "45 % [10, 90]", "20", "50 %", "5 %", "chosen"),)
    assert ("doubt", "H-Neurons", "1", "20", "45 %", "50 %", "5 %") in tables["outcomes"].shown
    assert not all_tables(Tidy(results))["framings"]
