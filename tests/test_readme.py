"""README is true: its commands exist, its tree is the tree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from hneuro.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EDITS = sorted(set(re.findall(r"hneuro edit[^`\n]*", README)))


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


def test_every_script_is_there_and_can_be_run() -> None:
    for script in set(re.findall(r"scripts/[a-z_/]+", README)):
        assert (ROOT / script).stat().st_mode & 0o111, script


def test_the_tree_names_every_file_and_folder() -> None:
    tree = README[README.index("## The tree") : README.index("## Development")]
    for file in (ROOT / "hneuro").iterdir():
        if not file.name.startswith("__") and file.name != "conf":
            assert (f"{file.name}/" if file.is_dir() else file.name) in tree


def test_what_is_named_to_copy_has_the_files_that_a_new_part_needs() -> None:
    for row in re.findall(r"^\| .*`(?:hneuro|conf)/.*/NAME\.[a-z]+`.* \|$", README, re.MULTILINE):
        *_, name = re.findall(r"`(\w+)`", row)
        files = re.findall(r"`((?:hneuro|conf|tests)/[\w/.]+)`", row)
        assert files
        for file in files:
            assert (ROOT / file.replace("NAME", name)).is_file(), file


def test_every_group_of_the_config_is_named_by_the_help_of_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    said = capsys.readouterr().out
    for group in (folder for folder in (ROOT / "conf").iterdir() if folder.is_dir()):
        assert f"{group.name}: " in said
