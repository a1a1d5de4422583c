"""Every table of a run against the rows that it is made from, and how tables are written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hneuro.report.compared import Compared
from hneuro.report.table import Column, Table, latex, markdown, write
from hneuro.report.tables import all_tables
from hneuro.report.tidy import Tidy
from hneuro.result_records import Agreement, Estimate, ResultRow, Results


def tables_of(results: Results, *rows: ResultRow) -> dict[str, Table]:
    return all_tables(Compared.one(replace(results, rows=(*results.rows, *rows))))


@pytest.fixture(scope="module")
def tables(results: Results) -> dict[str, Table]:
    return tables_of(results)


def caused(metric: str, value: float, condition: str = "h_neurons", **more) -> ResultRow:
    return ResultRow(
        **{"stage": "causal", "dataset": "doubt", "low": value - 0.1, "high": value + 0.1, "n": 50, "p_value": 0.01}
        | {"metric": metric, "value": value, "condition": condition}
        | more
    )


def only(table: Table, **where: object) -> dict:
    (record,) = [r for r in table.records if all(r.get(field) == value for field, value in where.items())]
    return dict(record)


def test_ten_tables_of_a_run_and_no_empty_one(tables: dict[str, Table], results: Results) -> None:
    assert list(tables) == [
        "detection", "comparisons", "transfer", "calibration", "effects", "outcomes", "neurons", "path", "overlaps",
        "origin", "funnel",
    ]  # fmt: skip
    assert all(len(table.shown) for table in tables.values())
    empty = all_tables(Compared.one(replace(results, rows=(), funnel=(), path=(), neurons=(), stability=None)))
    assert {name: table.frame.empty for name, table in empty.items()} == {"neurons": True}, "which trackers send"


def test_detection_numbers_are_the_rows(tables: dict[str, Table], results: Results) -> None:
    frame, tidy = tables["detection"].frame, Tidy(results)
    every = frame[(frame.answers == "all") & (frame.dataset == "people") & frame.accuracy.notna()]
    assert len(every) == 9  # the H-Neurons, three controls, the probe, three baselines, one combination
    for line in every.itertuples():
        area = tidy.one("detection", "auroc", "people", line.condition)
        right = tidy.one("detection", "accuracy", "people", line.condition)
        assert area is not None
        assert right is not None
        assert (line.auroc, line.auroc_low, line.auroc_high) == (area.value, area.low, area.high)
        assert (line.accuracy, line.n) == (right.value, area.n)
    own = only(tables["detection"], dataset="people", condition="h_neurons", answers="all")
    assert (own["p_holm"], own["verdict"]) == (pytest.approx(3 / 201), "detects")
    held = only(tables["detection"], dataset="people", condition="h_neurons",
                answers="within strata of equal log-probability")  # fmt: skip
    assert (held["auroc"].value, held["n"]) == (pytest.approx(0.831), 300)
    length = only(tables["detection"], dataset="people", condition="h_neurons", answers="pairs of one length")
    assert length["auroc"].value == pytest.approx(0.851)
    some = frame[(frame.dataset == "people") & (frame.condition == "100 random neurons")]
    assert some.auroc.tolist() == [0.76]


def test_comparisons_are_corrected_over_their_family(tables: dict[str, Table]) -> None:
    frame = tables["comparisons"].frame
    detection = frame[frame.family == "detection"]
    assert len(detection) == 12
    people = detection[(detection.dataset == "people") & (detection.condition == "h_neurons")].set_index("baseline")
    assert people.difference["length"] == pytest.approx(0.861 - 0.54)
    assert (people.ours["length"], people.theirs["length"]) == pytest.approx((0.861, 0.54))
    assert people.p_holm["length"] == pytest.approx(12 * 0.001)
    mechanism = frame[frame.family == "mechanism"].set_index("condition")
    assert mechanism.p_holm["covariates+h_neurons"] == pytest.approx(4 * 0.2)
    assert mechanism.note["entropy"] == "not given by the sampler"


def test_calibration_and_transfer(tables: dict[str, Table]) -> None:
    ece = only(tables["calibration"], measure="ece", condition="h_neurons")
    assert (ece["value"].value, ece["n"]) == (0.05, 900)
    assert only(tables["calibration"], coverage="50 %", condition="logprob")["value"].value == pytest.approx(0.08)
    assert "30.0 % [21.0, 39.0]" in tables["calibration"].caption
    frame = tables["transfer"].frame
    home = frame[(frame.measure == "AUROC") & (frame.condition == "h_neurons")]
    assert (home.on_drugs.tolist(), home.on_drugs_n.tolist()) == ([0.742], [280])
    assert frame[frame.found_on == "few"].note.tolist() == ["few"]
    assert frame[frame.condition == "its own 4"].on_people.tolist() == [0.8, 0.8]


def test_effects_have_their_arms_controls_slopes_and_verdicts(tables: dict[str, Table], results: Results) -> None:
    tidy, frame = Tidy(results), tables["effects"].frame
    whole = frame[frame.arm == "lowest to highest"].set_index(["benchmark", "metric"])
    assert len(whole) == 4 * 2 + 1
    assert len(tables["effects"].shown) == 3 * 9
    for (benchmark, metric), line in whole.iterrows():
        own = tidy.one("causal", f"change_{metric}", benchmark, "h_neurons")
        kinds = tidy.controls("causal", benchmark, "h_neurons")
        draws = [r.value for kind in kinds for r in tidy.draws("causal", f"change_{metric}", benchmark, kind)]
        slope = tidy.one("causal", f"slope_{metric}", benchmark, "h_neurons")
        assert own is not None
        assert slope is not None
        assert (line.change, line.change_low, line.change_high, line.n) == (own.value, own.low, own.high, own.n)
        assert (line.controls, line.controls_low, line.controls_high) == (20, min(draws), max(draws))
        assert (line.slope, line.slope_low) == (slope.value, slope.low)
    assert whole.verdict["doubt", "compliance"] == "effect not specific to these neurons"
    assert whole.verdict["known_facts", "accuracy"] == "effect, falls"
    arm = frame[(frame.arm == "beyond alpha 1") & (frame.benchmark == "doubt")].set_index("metric")
    assert arm.change["compliance"] == pytest.approx(0.16 * 2 / 3)
    alphas = frame[frame.arm.str.startswith("1 to") & (frame.benchmark == "doubt") & (frame.metric == "compliance")]
    assert alphas.p_holm.tolist() == pytest.approx([0.0, 0.005, 0.012, 0.012, 0.012, 0.012])


def test_effects_of_variants_parts_and_matched_slopes(results: Results) -> None:
    """A variant's change is what suppression takes away, with its sign turned."""
    table = tables_of(
        results, caused("change_compliance", 0.2, "h_neurons@mean"),
        caused("minus_plain_compliance", 0.05, "h_neurons@mean"),
        caused("slope_against_compliance", 0.07, stratum="h_neurons/random", p_value=0.048),
        caused("change_compliance_within", 0.3, stratum="jailbreak"), caused("change_compliance_low", -0.06),
        caused("change_compliance_high", 0.19),
    )["effects"]  # fmt: skip
    variant = only(table, neuron_set="h_neurons@mean")
    assert (variant["change"].value, variant["minus_plain"].value) == (-0.2, 0.05)
    whole = only(table, benchmark="doubt", metric="compliance", arm="lowest to highest")
    assert (whole["matched"].value, whole["p_slope_random"], whole.get("p_slope_layer_matched")) == (0.07, 0.048, None)
    assert (whole["bound_low"], whole["bound_high"], whole["verdict"]) == (-0.06, 0.19, "depends on unreadable answers")
    assert only(table, arm="lowest to highest, jailbreak")["change"].value == 0.3


def test_outcomes_are_the_rates_of_the_neurons_and_the_mean_over_control_sets(
    tables: dict[str, Table], results: Results
) -> None:
    table = tables["outcomes"]
    rates = [r for r in results.rows if (r.dataset, r.metric, r.alpha) == ("doubt", "compliance", 3.0)]
    own = only(table, benchmark="doubt", metric="compliance", neuron_set="h_neurons")
    assert [own["alpha 3"]] == [r for r in rates if r.condition == "h_neurons"]
    mean = only(table, benchmark="doubt", metric="compliance", neuron_set="h_neurons/random")
    sets = [r.value for r in rates if r.condition == "h_neurons/random"]
    assert (mean["alpha 3"].value, mean["n"], mean["note"]) == (pytest.approx(np.mean(sets)), 5, "mean over sets")
    assert only(table, benchmark="doubt", metric="unparsed", neuron_set="h_neurons")["alpha 3"].value == 0.03


def test_outcomes_have_framings_kinds_and_perplexity(results: Results) -> None:
    framing = {"stage": "framing", "condition": "suggest", "alpha": 1.0}
    added = [
        caused("compliance", 0.45, **framing, note="chosen; more"), caused("share_cut", 0.05, **framing),
        caused("share_cut", 0.1, alpha=1.0), caused("perplexity", 12.5, dataset="text", alpha=0.0),
    ]  # fmt: skip
    table = tables_of(results, *added)["outcomes"]
    chosen = only(table, neuron_set="framing: suggest", metric="compliance")
    assert (chosen["alpha 1"].value, chosen["note"]) == (0.45, "chosen")
    shown = table.shown[table.shown["benchmark"] == "text"]
    assert shown["alpha 0"].tolist() == ["12.50 [12.40, 12.60]"]


def test_neurons_path_overlaps_funnel_and_judges(tables: dict[str, Table], results: Results) -> None:
    neurons, path = tables["neurons"].frame, tables["path"]
    assert list(zip(neurons.layer, neurons["index"], strict=True)) == [(n.layer, n.index) for n in results.neurons]
    np.testing.assert_allclose(neurons.weight, [n.weight for n in results.neurons])
    first = [
        next((p.strength for p, w in zip(results.path, n.path, strict=True) if w > 0), np.nan) for n in results.neurons
    ]
    np.testing.assert_array_equal(neurons.enters_at, first)
    assert path.frame.chosen.tolist() == [p.chosen for p in results.path]
    assert path.shown["accuracy"][0] == "60.0 % [55.0, 65.0]"
    plain = replace(results, path=tuple(replace(p, suppressed_accuracy=None) for p in results.path))
    assert "known, suppressed" not in tables_of(plain)["path"].shown
    overlaps = tables["overlaps"]
    assert overlaps.shown["Jaccard"].tolist()[:2] == ["0.31 [0.11, 0.55]", "0.33"]
    sets = only(overlaps, between="data sets")
    assert (sets["shared"], sets["p_value"], sets["jaccard"].value) == (3, 0.001, 0.6)
    assert tables["funnel"].frame.lost[2] == "mixed verdicts: 480, refused: 42"
    agree = Estimate(value=0.9, low=0.85, high=0.93, n=200)
    agreement = Agreement(first="rule", second="llm", agree=agree, kappa=0.78, unsaid=4, confusion=())
    line = tables_of(replace(results, agreements=(agreement,)))["judges"].frame.iloc[0]
    assert line[["agreement", "n", "kappa", "unsaid"]].tolist() == [0.9, 200, 0.78, 4]


def test_origin_has_every_checkpoint_and_part(tables: dict[str, Table]) -> None:
    table = tables["origin"]
    assert (
        only(table, checkpoint="base", dataset="people", metric="auroc", condition="h_neurons")["verdict"]
        == "transfers"
    )
    shared = table.shown[table.shown["measure"] == "shared neurons"]
    assert shared["value"].tolist() == ["3"]
    gate = only(table, checkpoint="base", metric="drift_rank_gate", condition="h_neurons")
    assert (gate["value"].value, gate["p_value"], gate["verdict"]) == (0.58, 0.17, "no difference")
    assert table.frame.checkpoint.unique().tolist() == ["start", "half", "base"]


AWKWARD = Table(
    name="awkward",
    caption="50 % of a_b & c.",
    columns=(Column("name", "name"), Column("value", "share (%)", lambda v: "-" if v is None else f"{100 * v:.0f} %")),
    records=({"name": "a|b_c", "value": 0.5}, {"name": "x & y", "value": None}, {"name": "1-vs-1", "value": -0.4}),
)


def test_markdown_keeps_pipes_inside_cells() -> None:
    lines = markdown(AWKWARD).splitlines()
    assert [len(re.findall(r"(?<!\\)\|", line)) for line in lines[2:]] == [3, 3, 3, 3, 3]


def test_latex_is_escaped_booktabs(tables: dict[str, Table]) -> None:
    text = latex(AWKWARD)
    for part in (r"\toprule", r"\bottomrule", r"a$|$b\_c & 50 \% \\", r"x \& y & - \\", r"1-vs-1 & $-$40 \% \\",
                 r"\caption{50 \% of a\_b \& c.}", r"\label{tab:awkward}", r"\begin{tabular}{lr}"):  # fmt: skip
        assert part in text
    for table in tables.values():
        body = latex(table).partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        assert not re.search(r"(?<!\\)[%_#]|[<>|](?!\$)", body), table.name
        counts = {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")}
        assert counts == {len(table.shown.columns) - 1}


@pytest.mark.parametrize("name", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1"])
def test_csv_holds_no_formula_and_leaves_what_is_missing_empty(name: str, tmp_path: Path) -> None:
    write(replace(AWKWARD, records=({"name": name, "value": -1.5}, {"name": "-1.5", "value": None})), tmp_path)
    assert (tmp_path / "awkward.csv").read_text() == f"name,value\n'{name},-1.5\n-1.5,\n"


def test_columns_without_a_measurement_are_not_shown_and_stay_in_the_csv() -> None:
    table = replace(AWKWARD, records=({"name": "a", "value": None}, {"name": "b", "value": None, "hidden": True}))
    assert table.shown.to_dict("list") == {"name": ["a"]}
    assert (len(table.frame), table.frame.columns.tolist()) == (2, ["name", "value"])
    assert isinstance(table.frame, pd.DataFrame)
