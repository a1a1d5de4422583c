"""Command lines that stand in a text, taken at their word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from hneuro.cli import main
from hneuro.config import build_experiment


def fits_together(
    command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`hneuro run ...` composes, and its parts can be built and go together. Of a sweep, its first cell."""
    (folder / "lab" / "model").mkdir(parents=True)
    (folder / "lab" / "model" / "ours.yaml").write_text("defaults: [hub]\nname: ours\nchat: {path: /ours}\n")
    monkeypatch.chdir(folder)
    words = [word.replace("/lab/conf", str(folder / "lab")) for word in shlex.split(command, comments=True)[1:]]
    if "-m" in words:
        words.remove("-m")
        words = [re.split(r",(?![^\[]*\])", word)[0] for word in words]  # not at the commas of a list
    assert main([*words, *([] if "--cfg" in words else ["--cfg", "job"])]) == 0, capsys.readouterr().err
    build_experiment(OmegaConf.create(yaml.safe_load(capsys.readouterr().out)))
