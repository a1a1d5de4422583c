"""A checkpoint's identity is its content."""

from __future__ import annotations

from pathlib import Path

import pytest

from hneuro.models.sources import HubCheckpoint
from hneuro.records import UserError


def test_a_folder_is_what_its_files_are(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for file in tiny_checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    original, copied = HubCheckpoint(path=str(tiny_checkpoint)), HubCheckpoint(path=str(tmp_path))
    assert original.identity() == copied.identity()
    (tmp_path / "README.md").write_text("about it")
    assert original.identity() == copied.identity()
    with (tmp_path / "chat_template.jinja").open("a") as template:
        template.write(" ")
    assert original.identity() != copied.identity()


def test_a_hub_checkpoint_is_its_name_and_revision() -> None:
    assert HubCheckpoint(path="some/model").identity() == "some/model@main"
    assert HubCheckpoint(path="some/model", revision="abc").identity() == "some/model@abc"


def test_a_folder_without_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no checkpoint: it has no config.json"):
        HubCheckpoint(path=str(tmp_path)).identity()
