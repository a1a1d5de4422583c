"""Commands of README and docs/, executed on a finished sweep of one tiny cell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from texts import ROOT, lines

from hneuro.cli import main

LAB = ROOT / "experiments" / "lab_template"
FOUND = lines(r"hneuro (?:status|score|configs|report|edit)\b")
# tests/test_readme.py has the other edits, tests/test_experiments.py the other reports.
ELSEWHERE = ("--published", "--wandb", "outputs/figure", "--check conf")
WORDS = [line for line in FOUND if not any(word in line for word in ELSEWHERE)]
WORDS = [line for line in WORDS if "edit" not in line or "--patch-only" in line]
REHEARSED = lines(r"hneuro run [^`\n]*--dry-run")


def test_there_is_something_to_execute() -> None:
    assert {line.split()[1] for line in WORDS} == {"status", "score", "configs", "report", "edit"}
    assert REHEARSED


@pytest.mark.parametrize("command", WORDS)
def test_a_command_does_what_the_text_says(
    command: str, finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = min(finished.glob("outputs/demo/*/results.json")).parent
    (sweep,) = finished.glob("outputs/sweeps/*")
    meant = {
        "outputs/sweeps/NAME": str(sweep),
        "outputs/NAME/RUN": str(run),
        "outputs/NAME": "outputs/demo",
        "RUN_DIR": str(run),
        "DIR": str(LAB / "our_lab" / "conf"),
        "our_lab/conf": str(LAB / "our_lab" / "conf"),
    }
    monkeypatch.chdir(finished)
    monkeypatch.syspath_prepend(str(LAB))
    assert main([meant.get(word, word) for word in shlex.split(command)[1:]]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", REHEARSED)
def test_a_rehearsal_says_what_would_be_computed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command)[1:]) == 0
    assert "responses of at most" in capsys.readouterr().out
    assert not (tmp_path / "outputs" / "store").exists()
