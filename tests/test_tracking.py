"""Trackers on a finished run: local files, and a real W&B run in offline mode."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from hneuro.tracking import WandbTracker


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    from PIL import Image

    (tmp_path / "tables").mkdir()
    (tmp_path / "figures").mkdir()
    (tmp_path / "tables" / "neurons.csv").write_text("layer,index,weight\n1,2,0.5\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "figures" / "path.png")
    return tmp_path


pytestmark = pytest.mark.usefixtures("offline_wandb")


def test_offline_without_an_account_keeps_everything(run_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        WandbTracker().publish(run_dir, "name", {"seed": 0}, {"auroc": 0.9})
    assert "wandb sync" in caplog.text
    (log,) = run_dir.glob("wandb/offline-run-*/run-*.wandb")
    for kept in (rb"auroc", rb"h-neurons", rb"figures/path", rb"tables/neurons"):
        assert written(kept, log)


def written(pattern: bytes, log: Path) -> list[bytes]:
    """What matches in the log, which the W&B service writes a while after the run."""
    for _ in range(100):
        if found := re.findall(pattern, log.read_bytes()):
            return found
        time.sleep(0.2)
    return []


def test_an_offline_run_has_its_artifacts_in_its_own_folder(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copied to a machine with a network, it can be uploaded from there."""
    monkeypatch.delenv("WANDB_DATA_DIR")
    runs = run_dir / "runs" / "one", run_dir / "runs" / "two"
    for own in runs:
        shutil.copytree(run_dir / "tables", own / "tables")
        (own / "figures").mkdir()
        WandbTracker().publish(own, "name", {}, {"auroc": 0.9})
    assert "WANDB_DATA_DIR" not in os.environ
    for own in runs:
        (log,) = own.glob("wandb/offline-run-*/run-*.wandb")
        assert written(rb"/[\w/.-]*/staging/\w+", log), "the log names the manifests of the artifacts"
        staged = {*own.glob("wandb/artifacts/staging/*")}
        assert any(file.read_bytes() == (own / "tables" / "neurons.csv").read_bytes() for file in staged)
    assert not (run_dir / ".local").exists(), "the home folder"


def test_a_server_that_cannot_be_reached_costs_nothing(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING):
        WandbTracker(init_timeout=3).publish(run_dir, "name", {}, {"auroc": 0.9})
    assert json.loads((run_dir / "metrics.json").read_text()) == {"auroc": 0.9}
    assert "offline" in caplog.text
    assert "0" * 40 not in caplog.text


def test_whatever_goes_wrong_in_the_tracker_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        WandbTracker(mode="offline").publish(tmp_path, "name", {}, {"auroc": 0.9})  # there is no neurons.csv
    assert "complete in" in caplog.text
