"""Published figures beside measured ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from hneuro.records import UserError
from hneuro.report.compared import Compared
from hneuro.report.folders import read_runs
from hneuro.report.published import COLUMNS, Published, published_table, read_published
from hneuro.report.table import Record

from .conftest import LABELINGS, MODELS, Write, own

HEAD = ",".join(COLUMNS)


@pytest.fixture(scope="module")
def one_each(write: Write, tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A run of each model, found on TriviaQA."""
    folder = tmp_path_factory.mktemp("runs")
    for model in MODELS:
        write(folder / model, model, "triviaqa")
    return Compared(read_runs([folder]))


def read(folder: Path, *lines: str) -> tuple[Published, ...]:
    file = folder / "published.csv"
    file.write_text("\n".join([HEAD, *lines, ""]))
    return read_published(file)


def records(compared: Compared, folder: Path, *lines: str) -> Sequence[Record]:
    return published_table(compared, read(folder, *lines)).records


def test_difference_and_interval_are_in_the_published_unit(one_each: Compared, tmp_path: Path) -> None:
    measured = 100 * own(MODELS[0], "triviaqa", "nq_open", LABELINGS[0])
    lines = [
        f"{MODELS[0]},detection,accuracy,nq_open,h_neurons,{measured + by},,,%,Table 1" for by in (-1.9, 1.9, -2.1)
    ]
    found = records(one_each, tmp_path, *lines)
    assert [record["difference"] for record in found] == pytest.approx([1.9, -1.9, 2.1])
    assert [record["inside"] for record in found] == [True, True, False]
    shown = published_table(one_each, read(tmp_path, lines[2])).shown.values.tolist()
    assert shown[0][4:] == ["64.9 %", MODELS[0], "67.00 [65.00, 69.00]", "400", "+2.10", "no"]


def test_what_is_known_roughly_says_so_and_what_no_run_has_is_a_dash(one_each: Compared, tmp_path: Path) -> None:
    table = published_table(one_each, read(
        tmp_path,
        f"{MODELS[1]},origin,auroc,bioasq,h_neurons,87,,,%,about: read off a figure",
        "Llama-3.3-70B,detection,accuracy,bioasq,h_neurons,74.3,,,%,Table 1",
    ))  # fmt: skip
    assert table.shown["published"].tolist() == ["about 87.0 %", "74.3 %"]
    assert table.shown[["run", "measured", "n", "difference", "inside"]].values.tolist()[1] == ["-"] * 5
    assert table.frame.measured.isna().tolist() == [False, True]


def test_selection_is_compared_too(one_each: Compared, tmp_path: Path) -> None:
    found = records(
        one_each,
        tmp_path,
        f"{MODELS[0]},selection,per_mille,triviaqa,h_neurons,0.10,,,per mille,Table 1",
        f"{MODELS[0]},selection,accuracy,triviaqa,C=0.3,69.5,,,%,replication",
        f"{MODELS[0]},selection,positive,triviaqa,C=1,38,,,neurons,replication",
        f"{MODELS[0]},selection,auroc,triviaqa,C=10,0.8,,,share,replication",
    )
    assert [record["measured"].value for record in found if "measured" in record] == [0.5, 69.5, 2.0]
    assert [record.get("inside") for record in found] == [None, True, None, None], "of counts there is no interval"
    accuracy = found[1]["measured"]
    assert (accuracy.low, accuracy.high, accuracy.n) == (pytest.approx(65.5), pytest.approx(73.5), 400)


def test_a_mean_over_models_needs_all_of_them(one_each: Compared, tmp_path: Path) -> None:
    """Slopes are 4, 5 and 6 points, each within 2 either side: their mean within 2 / sqrt(3)."""
    line = f"{'+'.join(MODELS)},causal,slope_compliance,faitheval_context,h_neurons,3.0,,,points,about: Figure 3"
    mean, lacking = records(one_each, tmp_path, line, line.replace(MODELS[2], "Llama-3.3-70B"))
    assert mean["measured"].value == pytest.approx(5.0)
    assert (mean["measured"].low, mean["measured"].high) == pytest.approx((5 - 2 / 3**0.5, 5 + 2 / 3**0.5))
    assert (mean["runs"], mean["inside"], mean["n"]) == ("mean of 3", False, 300)
    assert "measured" not in lacking


def test_each_run_of_a_model_stands_for_itself(grid: Compared, tmp_path: Path) -> None:
    found = records(grid, tmp_path, f"{MODELS[0]},detection,accuracy,bioasq,h_neurons,60,,,%,Table 1")
    assert [r["runs"] for r in found] == [grid.label(run) for run in grid.runs if MODELS[0] in grid.label(run)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("m,s,x,d,c,nan,,,%,t", "line 2: value must be a number"),
        ("m,s,x,d,c,1,0,,%,t", "line 2: value must be a number, low and high two numbers or none"),
        ("m,s,x,d,c,many,,,%,t", "line 2: could not convert"),
        ("m,s,x,d,c,1,,,percent,t", "line 2: unit 'percent' is none of %, points"),
        ("m,s,x", "line 2: "),
    ],
)
def test_a_bad_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as fault:
        read(tmp_path, line)
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)


def test_other_columns_and_missing_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for name, said in (("other.csv", "the columns of published figures are model,"), ("none.csv", "cannot be read")):
        with pytest.raises(UserError, match=said):
            read_published(tmp_path / name)
