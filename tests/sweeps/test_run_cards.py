"""The run card of a cell says what that cell was asked for, where the command is that of the whole sweep."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from tiny_cell import tiny_cell

from hneuro.cli import main
from hneuro.models.language_model import LanguageModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path, language_model: LanguageModel) -> Path:
    """In it the same two cells have been run by each launcher, on one store."""
    folder = tmp_path_factory.mktemp("cards")
    words = [*tiny_cell(folder, tiny_checkpoint, language_model), "mechanism=none", "report=false", "probe.C=[50],[60]"]
    with contextlib.chdir(folder):
        for launcher in ("in_process", "joblib"):
            assert main(["run", "-m", f"launcher={launcher}", "store_dir=store", f"output_dir={launcher}", *words]) == 0
    return folder


def cards(folder: Path, launcher: str) -> dict[Path, dict[str, Any]]:
    return {file.parent: json.loads(file.read_text()) for file in folder.glob(f"{launcher}/hneuro/*/run_card.json")}


@pytest.mark.parametrize("launcher", ["in_process", "joblib"])
def test_each_cell_keeps_its_own_overrides(folder: Path, launcher: str) -> None:
    found = [card["overrides"] for card in cards(folder, launcher).values()]
    assert sorted(each[-1] for each in found) == ["probe.C=[50]", "probe.C=[60]"]
    for each in found:
        assert {f"launcher={launcher}", "mechanism=none", "report=False", "sampling.samples=2"} <= set(each)
        assert len(each) == len(set(each))
