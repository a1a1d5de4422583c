from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hneuro.records import Results
from hneuro.report.findings import findings
from hneuro.report.tables.all import all_tables
from hneuro.report.tables.headline import headline
from hneuro.report.tables.table import Table, latex, markdown, without_single, write
from hneuro.report.tidy import Tidy


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
    assert len(frame) == 4 * 7  # data sets x (H-Neurons, two controls, the probe, three baselines)
    for _, line in frame.iterrows():
        area = tidy.one("detection", "auroc", line.dataset, line.condition)
        right = tidy.one("detection", "accuracy", line.dataset, line.condition)
        assert area is not None
        assert right is not None
        assert (line.auroc, line.auroc_low, line.auroc_high) == pytest.approx((area.value, area.low, area.high))
        assert (line.accuracy, line.n) == pytest.approx((right.value, area.n))
    assert set(frame.sets.dropna()) == {20}


def test_causal_numbers_are_the_rows(tables, results: Results) -> None:
    every = [r for r in results.rows if r.stage == "causal" and r.alpha is not None]
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
            for control in ("h_neurons/random", "h_neurons/layer_matched")
            for r in tidy.draws("causal", f"{prefix}_{metric}", benchmark, control)
        ]
        assert line.controls == len(draws) == 10
        assert (line[prefix], line[f"{prefix}_low"], line[f"{prefix}_high"]) == pytest.approx(
            (own.value, own.low, own.high)
        )
        assert (line.controls_low, line.controls_high) == pytest.approx((min(draws), max(draws)))
        if name == "slopes":
            assert line.controls_mean == pytest.approx(np.mean(draws))


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
    assert funnel.lost[2] == "mixed verdicts: 480, refused: 42"


def test_origin_verdicts(tidy: Tidy) -> None:
    found = {(r[0], r[2]): r[-1] for r in all_tables(tidy)["origin"].shown}
    assert found["people", "H-Neurons"] == "transfers"
    assert found["parameters", "H-Neurons"] == "no difference"
    assert found["people", "whole probe"] == "-"


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


def test_every_table_of_a_run_is_latex_without_bare_specials(tidy: Tidy) -> None:
    for table in all_tables(tidy).values():
        body = latex(table).partition(r"\toprule")[2].partition(r"\bottomrule")[0]
        assert not re.search(r"(?<!\\)[%_#$]", body), table.name
        counts = {len(re.findall(r"(?<!\\)&", line)) for line in body.splitlines() if line.endswith(r"\\")}
        assert counts == {len(table.heads) - 1}


def test_without_single() -> None:
    assert without_single(("a", "b"), [("1", "x"), ("2", "x")], "b") == (("a",), [("1",), ("2",)])
    assert without_single(("a", "b"), [("1", "x"), ("2", "y")], "b")[0] == ("a", "b")


def test_headline_for_the_terminal(results: Results) -> None:
    text = headline(results)
    assert re.search(r"people +0\.86 \[0\.82, 0\.90\] +0\.65 +0\.93 +300 +0\.048 +detects", text)
    assert re.search(
        r"false premise +complying answers +44 % +52 % +67 % +\+23 \[\+17, \+29\] +240 +< 0\.001 .* effect, rises", text
    )
    assert "[does not transfer] The detector with H-Neurons does not transfer to fabricated drugs" in text
    assert "ahead of the H-Neurons on 4 of 4 data sets" in text


def test_findings_say_what_the_numbers_say(tidy: Tidy) -> None:
    texts = {f.text.partition(":")[0]: f for f in findings(tidy)}
    assert texts["H-Neurons detect hallucination on people"].tone == "yes"
    assert texts["Misleading context, complying answers"].badge == "no effect"
    unspecific = texts["Doubt, complying answers"]
    assert (unspecific.badge, unspecific.tone) == ("effect not specific to these neurons", "partly")
    assert "10 control sets +20 to +28 (p = 1.000 among them)" in unspecific.text
    assert any("on 2 of 4 benchmarks by complying answers" in f.text for f in findings(tidy))


def test_an_effect_that_falls_is_not_shown_as_a_success(results: Results) -> None:
    rows = tuple(
        replace(r, value=-r.value, low=-(r.high or 0), high=-(r.low or 0)) if r.metric == "change_compliance" else r
        for r in results.rows
    )
    found = next(f for f in findings(Tidy(replace(results, rows=rows))) if f.text.startswith("False premise, comp"))
    assert (found.badge, found.tone) == ("effect, falls", "partly")
