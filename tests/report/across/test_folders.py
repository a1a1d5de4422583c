"""Run folders in every state, and what the command says of those it cannot use: one line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from hneuro.cli import main
from hneuro.report.folders import read_runs
from hneuro.report.page import write_summary

from .conftest import LABELINGS, MODELS, SETS, Write, results


def small(version: str = "0.1.0", labeling: str = LABELINGS[0]):
    """Results with one data set and no sweep, of which a report is made fast."""
    made = results(MODELS[0], SETS[0], labeling)
    rows = tuple(r for r in made.rows if r.stage == "detection" and r.dataset == SETS[0])
    return replace(made, rows=rows, path=(), facts={"hneuro": version})


@pytest.fixture
def outputs(write: Write, tmp_path: Path) -> Iterator[Path]:
    """One run that is done, and six that are not; somebody works on one of these."""
    folder = tmp_path / "outputs" / "grid"
    write(folder / "done", made=small())
    write(folder / "failed", MODELS[1])
    (folder / "failed" / "status.json").write_text('{"state": "failed", "error": "UserError: no\\n answers"}')
    for name in ("running", "died"):
        write(folder / name, MODELS[2])
        (folder / name / "status.json").write_text('{"state": "running", "owner": "a-1"}')
    write(folder / "stopped", MODELS[2])
    (folder / "stopped" / "status.json").write_text('{"state": "done", "until": "responses"}')
    write(folder / "damaged")
    (folder / "damaged" / "results.json").write_text('{"title": "half')
    write(folder / "other")
    written = json.loads((folder / "other" / "results.json").read_text()) | {"of_a_later_version": 1}
    (folder / "other" / "results.json").write_text(json.dumps(written))
    (tmp_path / "outputs" / "store" / "probe").mkdir(parents=True)
    (tmp_path / "outputs" / "store" / "probe" / "results.json").write_text("no run")
    with FileLock(folder / "running" / "owner-a-1.lock"):
        yield tmp_path / "outputs"


def test_every_run_is_found_once_with_its_state(outputs: Path) -> None:
    runs = {run.name: run for run in read_runs([outputs, outputs / "grid", outputs / "grid" / "done"])}
    assert {name: run.state for name, run in runs.items()} == {
        "damaged": "unreadable", "died": "died", "done": "done", "failed": "failed", "other": "unreadable",
        "running": "running", "stopped": "stopped after responses",
    }  # fmt: skip
    assert [name for name, run in runs.items() if run.results] == ["done"]
    assert runs["failed"].error == "UserError: no answers"
    assert "damaged/results.json cannot be read" in runs["damaged"].error
    assert "of_a_later_version" in runs["other"].error


@pytest.mark.usefixtures("no_figures")
def test_runs_without_results_are_listed_and_told(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(outputs)]) == 0
    said = capsys.readouterr().out
    assert "note: 1 of 7 runs not in the tables: failed, failed (UserError: no answers)\n" in said
    assert "note: 2 of 7 runs not in the tables: unreadable, damaged, other (" in said
    page = (outputs / "report" / "report.html").read_text()
    assert "stopped after responses" in page
    listed = (outputs / "report" / "tables" / "runs.csv").read_text().splitlines()
    assert len(listed) == 1 + 7
    assert len(read_runs([outputs])) == 7, "the report is not a run"


@pytest.mark.parametrize("name", ["status.json", "config.yaml", "results.json"])
def test_a_run_that_cannot_be_read_costs_the_others_nothing(name: str, write: Write, tmp_path: Path) -> None:
    """Nested too deeply, a folder, or a pipe in which nothing comes."""
    write(tmp_path / "good", made=small())
    for place, make in enumerate((os.mkfifo, Path.mkdir, lambda file: file.write_text("[" * 100_000))):
        write(tmp_path / f"bad{place}", made=small())
        (tmp_path / f"bad{place}" / name).unlink()
        make(tmp_path / f"bad{place}" / name)
    good, *bad = sorted(read_runs([tmp_path]), key=lambda run: run.name != "good")
    assert good.results
    assert name == "status.json" or {(run.state, run.results) for run in bad} == {("unreadable", None)}


@pytest.mark.usefixtures("no_figures")
def test_versions_side_by_side_are_told_in_one_line(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "a", made=small())
    write(tmp_path / "b", labeling=LABELINGS[1], made=small("0.0.9", LABELINGS[1]))
    summary = write_summary(read_runs([tmp_path]), (), tmp_path / "report")
    assert summary.notes == ("made by different versions of hneuro (0.0.9, 0.1.0): run the older ones again",)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "there is no run in "),
        ({"a/status.json": '{"state": "running"}', "a/config.yaml": "{}"}, "is done; a: died (its process has"),
        ({"a/status.json": '{"state"', "a/config.yaml": "{}"}, "a: died (status.json cannot be read"),
        ({"a/status.json": '{"state": "done"}', "a/config.yaml": "]"}, "a/config.yaml cannot be read"),
        ({"a/status.json": '{"state": "done"}'}, "a/config.yaml cannot be read"),
        ({"a/results.json": "{}", "a/config.yaml": "{}"}, "a/results.json cannot be read"),
    ],
)
def test_nothing_to_report_on_is_one_line(
    files: dict[str, str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert main(["report", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_a_report_that_cannot_be_written_is_one_line(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "runs" / "a", made=small())
    (tmp_path / "file").write_text("")
    assert main(["report", str(tmp_path / "runs"), "--out", str(tmp_path / "file")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "choose another folder with --out" in line
