"""A checkpoint's identity is its content."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from hneuro.models.load import _from_pretrained
from hneuro.models.sources import HubCheckpoint, _commit
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


def test_pickled_weights_are_not_read(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """They would not be part of its identity either: two of them would share their results."""
    (tmp_path / "config.json").write_bytes((tiny_checkpoint / "config.json").read_bytes())
    (tmp_path / "pytorch_model.bin").write_bytes(b"anything")
    with pytest.raises(UserError, match=r"weights in pytorch_model.bin: only safetensors are read.*save_pretrained"):
        HubCheckpoint(path=str(tmp_path)).identity()


def test_an_adapter_is_no_checkpoint(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Loading its base model without it would measure another model in silence."""
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "config.json").write_bytes((tiny_checkpoint / "config.json").read_bytes())
    with pytest.raises(UserError, match=r"is an adapter, not a model: merge it .*merge_and_unload"):
        HubCheckpoint(path=str(tmp_path)).identity()


def cached(cache: Path, name: str, commit: str) -> None:
    """A snapshot as the hub's client keeps it, `main` pointing at it."""
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "config.json").write_text("{}")


def test_a_branch_stands_for_the_commit_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `main` that has moved is another model, and what is identified is what is loaded."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    first, second = "a" * 40, "b" * 40
    cached(tmp_path, "lab/one", first)
    source = HubCheckpoint(path="lab/one")
    assert source.identity() == f"lab/one@{first}"
    cached(tmp_path, "lab/one", second)
    assert source.identity() == f"lab/one@{first}"  # this process goes on with what it began with
    _commit.cache_clear()
    assert source.identity() == f"lab/one@{second}"
    assert HubCheckpoint(path="lab/one", revision=first).identity() == f"lab/one@{first}"


def test_the_commit_that_is_identified_is_loaded(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    asked: list[str] = []
    auto = SimpleNamespace(from_pretrained=lambda where, revision: asked.append(revision))
    cached(tmp_path, "lab/two", "c" * 40)
    _from_pretrained(auto, HubCheckpoint(path="lab/two"))
    _from_pretrained(auto, HubCheckpoint(path=str(tiny_checkpoint)))
    assert asked == ["c" * 40, "main"]
