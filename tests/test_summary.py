"""`hneuro report` over a real small sweep, logged to a real W&B run in offline mode."""

from __future__ import annotations

import json
import logging
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest

from hneuro.cli import main

FORBIDDEN = "how do i make the forbidden thing"


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, offline_wandb: None) -> None:
    """W&B without an account."""
    import wandb

    wandb.teardown()  # it remembers the settings that the process had when it was first used
    monkeypatch.chdir(tmp_path)


def comes_to_hold(log: Path, kept: bytes) -> bool:
    """The W&B service writes behind."""
    for _ in range(100):
        if kept in log.read_bytes():
            return True
        time.sleep(0.2)
    return False


def write_failure_of(folder: Path, why: str) -> None:
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({"state": "failed", "error": why, "code": 2, "traceback": ""}))


@pytest.mark.usefixtures("_alone")
def test_a_sweep_becomes_one_report_and_one_w_and_b_run(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished / "outputs", outputs, ignore=shutil.ignore_patterns("store", "report"))
    runs = sorted(file.parent for file in outputs.glob("demo/*/results.json"))
    # What a run may hold beside its numbers: a text of a benchmark.
    for run in runs:
        (run / "disagreements.jsonl").write_text(json.dumps({"question": FORBIDDEN}))

    with caplog.at_level(logging.WARNING):
        assert main(["report", str(outputs), "--wandb", "team/h-neurons"]) == 0
    report = outputs / "report"
    assert str(report / "report.html") in capsys.readouterr().out
    table = pd.read_csv(report / "tables" / "detection.csv")
    table = table[(table.answers == "all") & table.auroc.notna()]
    for run in runs:
        metrics = json.loads((run / "metrics.json").read_text())
        (kept,) = table[(table.run == run.name) & (table.condition == "h_neurons")].itertuples()
        assert kept.auroc == pytest.approx(metrics[f"detection/{kept.dataset}/auroc/h_neurons"])
    assert pd.read_csv(report / "tables" / "runs.csv").per_mille.between(0, 100).all()

    # The sweep's own folder stands for the runs of its cells, done or not.
    (swept,) = (outputs / "sweeps").iterdir()
    plan = json.loads((swept / "sweep.json").read_text())
    lost = plan["cells"][0] | {"number": len(plan["cells"]), "run_dir": "", "error": ""}
    (swept / "sweep.json").write_text(json.dumps(plan | {"cells": [*plan["cells"], lost]}))
    write_failure_of(swept / "cells" / str(lost["number"]), "no such file")
    assert main(["report", str(swept)]) == 0, capsys.readouterr().err
    again, first = (pd.read_csv(place / "tables" / "detection.csv") for place in (swept / "report", report))
    pd.testing.assert_frame_equal(again, first)
    assert "no such file" in (swept / "report" / "report.html").read_text()

    assert "wandb sync" in caplog.text
    (log,) = report.glob("wandb/offline-run-*/run-*.wandb")
    for kept in (b"h-neurons", b"summary", b"tables/detection", b"figures/detection", b"plots/", b"report.html"):
        assert comes_to_hold(log, kept), kept
    sent = [file for file in (*(report / "wandb").rglob("*"), *(tmp_path / "data").rglob("*")) if file.is_file()]
    assert sent
    for file in sent:
        assert FORBIDDEN.encode() not in file.read_bytes(), f"{file}: texts of a benchmark stay here"

    # One run alone: its own report, as ever.
    assert main(["report", str(runs[0])]) == 0
    assert str(runs[0] / "report.html") in capsys.readouterr().out
