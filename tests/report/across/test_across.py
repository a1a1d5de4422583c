"""The same tables and page over a grid of runs, against the arithmetic that the rows were made with."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import altair
import pandas as pd
import pytest

from hneuro.report.compared import Compared, value_of
from hneuro.report.figures.matrix import matrix_pictures
from hneuro.report.folders import read_runs
from hneuro.report.page import Summary
from hneuro.report.table import Table
from hneuro.report.tables import all_tables

from .conftest import LABELINGS, MODELS, SETS, Write, own

CELLS = sorted(product(MODELS, SETS, LABELINGS))
AXES = ["model", "found on", "labeling"]


@pytest.fixture(scope="module")
def tables(grid: Compared) -> dict[str, Table]:
    return all_tables(grid, grid.runs)


def cells(frame: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """The rows of a frame that hold these values, by what tells the runs apart."""
    for name, value in where.items():
        frame = frame[frame[name] == value]
    return frame.set_index(AXES)


def test_a_row_is_a_run_named_by_what_differs(grid: Compared) -> None:
    assert list(grid.axes) == AXES
    assert [tuple(value_of(run, axis) for axis in AXES) for run in grid.runs] == CELLS


def test_models_by_data_sets_and_transfer(tables: dict[str, Table]) -> None:
    frame = tables["transfer"].frame
    right = cells(frame, measure="accuracy", condition="h_neurons")
    assert len(right) == len(CELLS)
    for (model, found, labeling), line in right.iterrows():
        for tested in SETS:
            assert line[f"on_{tested}"] == own(model, found, tested, labeling)
            assert (line[f"on_{tested}_n"], line[f"on_{tested}_low"]) == (400, line[f"on_{tested}"] - 0.02)
    random = cells(frame, measure="AUROC", condition="h_neurons/random")
    assert set(random.on_bioasq) == {0.52}
    assert set(random.on_bioasq_n) == {20}
    assert "61.0 % [59.0, 63.0], n = 400" in tables["transfer"].shown["nq open"].tolist()


def test_detection_and_what_each_run_selected(tables: dict[str, Table]) -> None:
    area = cells(tables["detection"].frame, condition="h_neurons", dataset="bioasq")
    for (model, found, labeling), line in area.iterrows():
        assert line.auroc == own(model, found, "bioasq", labeling) + 0.05
    for (model, found, labeling), line in tables["runs"].frame.set_index(AXES).iterrows():
        assert line.auroc == own(model, found, found, labeling) + 0.05
        others = [own(model, found, tested, labeling) + 0.05 for tested in SETS if tested != found]
        assert line.elsewhere == pytest.approx(sum(others) / 2)
        assert (line.home, line.h_neurons, line.per_mille, line.strength) == (found, 2, 0.5, 1.0)
    assert len(tables["path"].shown) == 2 * len(CELLS)


@pytest.mark.parametrize(
    ("changed", "axes"),
    [
        ({"probe.C": [3.0]}, ("probe.C",)),
        ({"seed": 1}, ("run seed",)),
        ({"sampling.samples": 3}, ("sampling.samples",)),
        ({"name": "again"}, ("name",)),
        ({"output_dir": "elsewhere", "tracker.group": "g"}, ("run",)),  # nothing that results depend on
    ],
)
def test_any_setting_that_differs_is_an_axis(
    changed: dict[str, Any], axes: tuple[str, ...], write: Write, tmp_path: Path
) -> None:
    write(tmp_path / "a")
    write(tmp_path / "b", changed=changed)
    compared = Compared(read_runs([tmp_path]))
    assert compared.axes == axes
    assert len({compared.label(run) for run in compared.runs}) == 2
    frame = all_tables(compared)["detection"].frame
    assert frame.columns.is_unique
    found = [None if pd.isna(value) else value for value in frame[axes[0]].unique()]
    assert found == [value_of(run, axes[0]) for run in compared.runs]


def test_numbers_are_sorted_as_numbers(write: Write, tmp_path: Path) -> None:
    for seed in (10, 9):
        write(tmp_path / str(seed), changed={"seed": seed})
    assert [run.name for run in Compared(read_runs([tmp_path])).runs] == ["9", "10"]


def test_the_page_is_complete_and_needs_nothing_else(summary: Summary) -> None:
    text = summary.page.read_text(encoding="utf-8")
    sections = re.findall(r'<div class="body" id="(\w+)"', text)
    assert sections == ["runs", "published", "neurons", "detection", "cause", "base", "funnel", "notes"]
    assert text.count("<script") == 2, "the figures and our own"
    text = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    links = set(re.findall(r'href="([^#"][^"]*)"', text.replace("data:,", "#")))
    assert links == {"../one/report.html"}, "by the matrices and by the list"
    assert text.count('<figure role="group"') == 2
    assert not re.search(r"https?://(?!www\.w3\.org)", text)
    published = f"{100 * own(MODELS[0], 'triviaqa', 'nq_open', LABELINGS[0]) - 70.7:+.2f}"
    assert published in summary.text
    rows = pd.read_parquet(summary.page.parent / "rows.parquet")
    assert rows.columns[:4].tolist() == [*AXES, "run"]
    kept = rows[(rows["model"] == MODELS[0]) & (rows.metric == "accuracy") & (rows.condition == "h_neurons")]
    assert kept[kept.dataset == "bioasq"].value.tolist()[0] == own(MODELS[0], "triviaqa", "bioasq", LABELINGS[0])


def test_files_are_complete_and_none_is_stale(summary: Summary) -> None:
    figures, tables = (summary.page.parent / name for name in ("figures", "tables"))
    assert {file.stem for file in figures.iterdir()} == {
        *(f"detection_{name}" for name in SETS), *(f"origin_transfer_{name}" for name in SETS), "origin_drift",
        "alpha_faitheval_context_compliance", "alpha_known_facts_accuracy", "matrix_auroc", "matrix_slope",
    }  # fmt: skip
    assert "<a " not in (figures / "matrix_auroc.svg").read_text()
    curve = (figures / "alpha_faitheval_context_compliance.svg").read_text()
    assert f"{MODELS[0]} (n = 100)" in curve
    assert "&lt;script&gt;" in curve, "all models on one chart"
    assert {file.name for file in tables.iterdir()} == {
        f"{name}.{ending}" for name in summary.tables for ending in ("csv", "md", "tex")
    }


def test_a_cell_of_the_matrix_is_a_run_and_leads_to_it(grid: Compared) -> None:
    """The value with its interval and n, and random neurons; a run that has no page has no link."""
    first, *_ = grid.runs
    auroc, slope = matrix_pictures(grid, {first.folder: "../one/report.html"})
    cells = auroc.figure["layer"][0]["data"]["values"]
    assert len(cells) == len(CELLS)
    for cell, (model, found, labeling) in zip(cells, CELLS, strict=True):
        value = own(model, found, found, labeling) + 0.05
        assert (cell["row"], cell["column"]) == (model, f"{found}, {labeling}")
        assert cell["shown"] == f"{value:.2f}\n[{value - 0.02:.2f}, {value + 0.02:.2f}] n = 400\nrandom 0.52"
        assert cell["ahead"] == pytest.approx(value - 0.02 - 0.52), "all of its interval"
    assert [cell["link"] for cell in cells if cell["link"]] == ["../one/report.html"]
    assert ": Gemma-3-4B bioasq, 1-vs-1 +4.00, [+2.00, +6.00] n = 100, random -" in slope.alt
    altair.Chart.from_dict(auroc.figure, validate=True)
