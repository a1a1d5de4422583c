"""Every table of a grid of runs, against the arithmetic that its rows were made with."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hneuro.report.across.causal import changes_table, curves_table, slopes_table
from hneuro.report.across.compared import Compared, value_of
from hneuro.report.across.detection import detection_table, transfer_table
from hneuro.report.across.folders import read_runs
from hneuro.report.across.origin import origin_table
from hneuro.report.across.selection import labelings_table, path_table
from hneuro.report.tables.table import Table, latex, write

from .conftest import LABELINGS, MODELS, SETS, Write, own, results

CELLS = sorted(product(MODELS, SETS, LABELINGS))


def frame(table: Table) -> pd.DataFrame:
    return pd.DataFrame([dict(record) for record in table.numbers], columns=list(table.columns))


def cell(table: Table, head: tuple[str, ...], column: str) -> str:
    (line,) = [line for line in table.shown if line[: len(head)] == head]
    return line[table.heads.index(column)]


def test_a_row_is_a_run_named_by_what_differs(grid: Compared) -> None:
    assert grid.axes == ("model", "found on", "labeling")
    assert [grid.cells(run) for run in grid.runs] == CELLS


def test_detection_by_models_and_data_sets(grid: Compared) -> None:
    table = detection_table(grid, "accuracy")
    assert table.heads == ("model", "found on", "labeling", "neurons", "bioasq", "nq open", "triviaqa")
    assert len(table.shown) == 3 * len(CELLS)
    for model, found, labeling in CELLS:
        for tested in SETS:
            value = 100 * own(model, found, tested, labeling)
            column = tested.replace("_", " ")
            assert (
                cell(table, (model, found, labeling, "H-Neurons"), column)
                == f"{value:.1f} % [{value - 2:.1f}, {value + 2:.1f}], n = 400"
            )
            random = cell(table, (model, found, labeling, "random neurons"), column)
            assert random == "52.0 % [50.0, 54.0], 20 sets"
    numbers = frame(table)
    assert len(numbers) == 3 * 3 * len(CELLS)
    kept = numbers[numbers.condition == "h_neurons"]
    expected = [own(r["model"], r["found on"], r.dataset, r.labeling) for _, r in kept.iterrows()]
    assert kept.value.tolist() == expected
    assert cell(detection_table(grid, "auroc"), (MODELS[0], "bioasq", "1-vs-1", "H-Neurons"), "bioasq").startswith(
        "0.65 [0.63, 0.67]"
    )


def test_transfer_marks_what_was_tested_at_home(grid: Compared) -> None:
    table = transfer_table(grid)
    for model, found, labeling in CELLS:
        for tested in SETS:
            shown = cell(table, (model, found, labeling), tested.replace("_", " "))
            value = own(model, found, tested, labeling) + 0.05
            assert shown.startswith(f"{value:.2f} [")
            assert ("*" in shown) == (tested == found)
            assert shown.endswith("(0.52)")


def test_there_is_no_transfer_of_one_set(write: Write, tmp_path: Path) -> None:
    for place, model in enumerate(MODELS):
        write(tmp_path / str(place), model)
    compared = Compared(read_runs([tmp_path]))
    assert not transfer_table(compared)
    assert compared.axes == ("model",)
    assert labelings_table(compared).heads[:2] == ("model", "labeling")


def test_labelings(grid: Compared) -> None:
    numbers = frame(labelings_table(grid))
    for _, line in numbers.iterrows():
        model, found, labeling = line["model"], line["found on"], line["labeling"]
        assert line.auroc == own(model, found, found, labeling) + 0.05
        others = [own(model, found, tested, labeling) + 0.05 for tested in SETS if tested != found]
        assert line.elsewhere == pytest.approx(sum(others) / 2)
        assert (line.home, line.h_neurons, line.per_mille, line.strength) == (found, 2, 0.5, 1.0)


def test_path_has_every_strength_of_every_run(grid: Compared) -> None:
    table = path_table(grid)
    assert len(table.shown) == 2 * len(CELLS)
    assert table.shown[1][3:] == (
        "1", "4", "2", "76.5 % [72.5, 80.5]", "0.815 [0.765, 0.865]", "400", "90.0 %", "chosen",
    )  # fmt: skip


def test_causal_tables(grid: Compared) -> None:
    for model, found, labeling in CELLS:
        slope = 4 + MODELS.index(model)
        head = (model, found, labeling, "H-Neurons", "answers")
        changed = f"+{3 * slope:.1f} [+{3 * slope - 2:.1f}, +{3 * slope + 2:.1f}], n = 100 (+1 to +1)"
        assert cell(changes_table(grid), head, "faitheval context") == changed
        assert cell(slopes_table(grid), head, "faitheval context").startswith(f"+{slope:.1f} [")
    table = curves_table(grid)
    head = (*CELLS[0], "faitheval context", "complying answers", "H-Neurons")
    assert [cell(table, head, f"alpha {a}") for a in (0, 1, 3)] == [
        "40 % [38, 42]", "44 % [42, 46]", "52 % [50, 54]"
    ]  # fmt: skip


def test_origin(grid: Compared) -> None:
    table = origin_table(grid)
    value = own(*CELLS[5][:2], "triviaqa", CELLS[5][2]) - 0.1
    assert cell(table, CELLS[5], "triviaqa") == f"{value:.2f} [{value - 0.02:.2f}, {value + 0.02:.2f}], n = 400 (0.50)"
    assert cell(table, CELLS[5], "drift rank") == "0.70 [0.68, 0.72], n = 2, p = 0.004"


def test_a_cell_that_no_run_fills_is_a_dash(write: Write, tmp_path: Path) -> None:
    made = results(MODELS[1], "bioasq", "1-vs-1")
    write(tmp_path / "all")
    write(tmp_path / "one", MODELS[1], made=replace(made, rows=tuple(r for r in made.rows if r.dataset == "nq_open")))
    compared = Compared(read_runs([tmp_path]))
    table = detection_table(compared, "accuracy")
    assert cell(table, (MODELS[1], "H-Neurons"), "bioasq") == "-"
    assert cell(table, (MODELS[1], "H-Neurons"), "nq open") != "-"
    assert [line[0] for line in slopes_table(compared).shown] == [MODELS[0]]


@pytest.mark.parametrize(
    ("changed", "axes"),
    [
        ({"probe.C": [3.0]}, ("model", "probe.C")),
        ({"seed": 1}, ("model", "run seed")),
        ({"sampling.samples": 3}, ("model", "sampling.samples")),
        ({"name": "again"}, ("model", "name")),
        ({"output_dir": "elsewhere", "tracker.group": "g"}, ("model", "run")),  # nothing that results depend on
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
    table = detection_table(compared, "auroc")
    assert len(set(table.columns)) == len(table.columns), "every number has a column of its own"
    assert [dict(record)[axes[1]] for record in table.numbers] == [
        value_of(run, axes[1]) for run in compared.runs for _ in range(3 * 3)
    ]


def test_numbers_are_sorted_as_numbers(write: Write, tmp_path: Path) -> None:
    for seed in (10, 9):
        write(tmp_path / str(seed), changed={"seed": seed})
    assert [run.name for run in Compared(read_runs([tmp_path])).runs] == ["9", "10"]


def test_latex_is_well_formed_and_compiles(grid: Compared, tmp_path: Path) -> None:
    tables = [detection_table(grid, "accuracy"), transfer_table(grid), slopes_table(grid), path_table(grid)]
    for table in tables:
        write(table, tmp_path)
        text = (tmp_path / f"{table.name}.tex").read_text()
        assert text == latex(table)
        assert text.isascii(), "any LaTeX reads it"
        rules = [text.count(f"\\{rule}") for rule in ("toprule", "midrule", "bottomrule")]
        assert rules == [1, 1, 1]
        assert text.count("{") == text.count("}")
        assert text.count("\\begin{") == text.count("\\end{") == 2
        lines = [line for line in text.splitlines() if line.endswith("\\\\")]
        assert len(lines) == len(table.shown) + 1
        assert {line.replace("\\&", "").count("&") for line in lines} == {len(table.heads) - 1}
        assert not any(line.replace("\\%", "").count("%") for line in lines), "a bare % hides the rest of a line"
    compiler = shutil.which("pdflatex")
    if compiler is None:
        return
    body = "\n".join(f"\\input{{{table.name}}}" for table in tables)
    page = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{body}\\end{{document}}"
    (tmp_path / "page.tex").write_text(page)
    subprocess.run([compiler, "-halt-on-error", "page.tex"], cwd=tmp_path, check=True, capture_output=True)
