"""The pages are true: README is short, commands exist, what is named to copy is there."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from texts import ROOT, SHOWN, TEXT, blocks, lines

from hneuro.cli import main
from hneuro.questions.file import QuestionFile

EDITS = lines("hneuro edit ")
LINES = [line for block in blocks("sh") for line in block.splitlines() if line]
SCRIPTS = [line for line in LINES if re.match(r"(experiments/real|scripts)/", line)]
OF_THE_SHELL = (
    "git clone <this repository> hneuro && cd hneuro",
    "source .venv/bin/activate",
    ".venv/bin/pytest tests/verdicts",
    ".venv/bin/python scripts/docs",
    ".venv/bin/python scripts/faults",
)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 8_000
    assert len(re.findall(r"^\| \*\*", TEXT[ROOT / "docs" / "glossary.md"], re.MULTILINE)) <= 30


@pytest.mark.parametrize("command", EDITS)
def test_every_edit_command_says_what_it_wants(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Understood up to the folders that are not there; edits themselves are in tests/editing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.json").write_text("[[0, 1]]")
    assert main(shlex.split(command)[1:]) == 2
    error = capsys.readouterr().err
    absent = ("RUN_DIR is not a run of hneuro", "edited is no edited checkpoint", "cannot load /models/mine")
    assert any(said in error for said in absent), error


def test_every_script_is_there_and_takes_what_it_is_given() -> None:
    for script in re.findall(r"`(scripts/[a-z_/]+)", SHOWN):
        assert (ROOT / script).stat().st_mode & 0o111, script
    for line in SCRIPTS:
        script, *words = shlex.split(line, comments=True)
        assert (ROOT / script).stat().st_mode & 0o111, script
        folder = (ROOT / script).parent
        known = "".join(file.read_text(encoding="utf-8") for file in (ROOT / script, *folder.glob("harness.py")))
        assert all(word in known for word in words if word.startswith("--")), line


def test_every_other_line_for_the_shell_is_known() -> None:
    """`hneuro` has tests of its own, and so has each of its commands."""
    read = [*(ROOT / "hneuro").rglob("*.py"), ROOT / "conf" / "config.yaml"]
    for line in LINES:
        if extra := re.fullmatch(r"pip install 'hneuro\[(\w+)\]'", line):
            assert extra[1] in EXTRAS
        elif variable := re.fullmatch(r"export (HNEURO_\w+)=\S+", line):
            assert any(variable[1] in file.read_text(encoding="utf-8") for file in read)
        elif not line.startswith("hneuro ") and line not in SCRIPTS:
            assert line.partition("  ")[0] in OF_THE_SHELL


def test_the_questions_that_are_shown_are_read(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    assert blocks("json")
    for block in blocks("json"):
        file.write_text(block)
        (question,) = QuestionFile(path=str(file)).load().questions
        assert question.answers == tuple(json.loads(block)["answers"])


def test_what_is_named_to_copy_has_the_files_that_a_new_part_needs() -> None:
    rows = re.findall(r"^\| .*`(?:hneuro|conf)/.*/NAME\.[a-z]+`.* \|$", SHOWN, re.MULTILINE)
    assert rows
    for row in rows:
        *_, name = re.findall(r"`(\w+)`", row)
        files = re.findall(r"`((?:hneuro|conf|tests)/[\w/.]+)`", row)
        assert files
        for file in files:
            assert (ROOT / file.replace("NAME", name)).is_file(), file


def test_every_choice_that_is_named_exists() -> None:
    groups = {folder.name: {file.stem for file in folder.glob("*.yaml")} for folder in (ROOT / "conf").iterdir()}
    for group, choice in re.findall(r"(?<![\w.])(\w+)=([a-z][a-z0-9_]*)", SHOWN):
        assert choice in groups.get(group, {choice}) | {"ours"}, f"{group}={choice}"


def test_every_group_of_the_config_is_named_by_the_help_of_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    said = capsys.readouterr().out
    for group in (folder for folder in (ROOT / "conf").iterdir() if folder.is_dir()):
        assert f"{group.name}: " in said
