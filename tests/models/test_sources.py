"""A checkpoint's identity is its content."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from huggingface_hub.utils import filter_repo_objects
from safetensors.torch import load_file, save_file

from hneuro.models.load import load
from hneuro.models.patch import PATCH
from hneuro.models.sources import INDEX, SINGLE, HubCheckpoint, _commit
from hneuro.models.spec import ModelSpec
from hneuro.records import UserError


def test_a_folder_is_what_its_files_are(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for file in tiny_checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    original, copied = HubCheckpoint(path=str(tiny_checkpoint)), HubCheckpoint(path=str(tmp_path))
    assert original.identity() == copied.identity()
    (tmp_path / "README.md").write_text("about it")
    assert original.identity() == copied.identity()
    (tmp_path / PATCH).parent.mkdir()
    (tmp_path / PATCH).write_text("{}")
    assert (edited := copied.identity()) != original.identity(), "an edit of a few columns may be seen in this alone"
    with (tmp_path / "chat_template.jinja").open("a") as template:
        template.write(" ")
    assert copied.identity() not in (original.identity(), edited)


PICKLED = r"weights in pytorch_model.bin: only safetensors are read.*save_pretrained"


@pytest.mark.parametrize(
    ("config", "others", "why"),
    [
        (None, [], r"not a checkpoint: it has no config.json"),
        ("{}", ["pytorch_model.bin", "another.safetensors"], PICKLED),
        ("{}", ["adapter_config.json"], r"is an adapter, not a model: merge it .*merge_and_unload"),
        *((said, [SINGLE], r"config.json") for said in ("{", "[" * 100_000)),
        ('{"transformers_weights": "../x.safetensors"}', [SINGLE], r"config.json"),
    ],
    ids=["no config", "pickled", "adapter", "cut", "deep", "other weights"],
)
def test_what_is_no_checkpoint_is_said(config: str | None, others: list[str], why: str, tmp_path: Path) -> None:
    for name in others:
        (tmp_path / name).write_text("{}")
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=why):
        HubCheckpoint(path=str(tmp_path)).identity()


@pytest.mark.parametrize("make", [os.mkfifo, lambda file: file.write_text("[]")])
@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_config_that_is_none_is_named(make: Callable[[Path], object], name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(UserError, match=rf"/{name} (is not the config of a model|cannot be read: it is not a file)"):
        HubCheckpoint(path=str(tmp_path)).identity()


@pytest.mark.parametrize("kind", ["folder", "hub"])
def test_merged_weights_are_loaded_beside_a_left_over_adapter_config(
    tiny_checkpoint: Path, spec: ModelSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Also where peft is installed: the library would load what its file names instead, or look for an adapter."""
    commit = "d" * 40
    folder = tmp_path / "models--lab--merged" / "snapshots" / commit
    if kind == "hub":
        cached(tmp_path, "lab/merged", commit)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path))
    shutil.copytree(tiny_checkpoint, folder, dirs_exist_ok=True)
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "some/base", "peft_type": "LORA"}')
    monkeypatch.setattr("transformers.models.auto.auto_factory.is_peft_available", lambda: True)
    monkeypatch.setattr("transformers.integrations.peft.is_peft_available", lambda: True)
    source = HubCheckpoint(path=str(folder) if kind == "folder" else "lab/merged")
    assert source.identity()
    found = load(source, spec).model.state_dict()
    for name, weight in load(spec.chat, spec).model.state_dict().items():
        assert torch.equal(found[name], weight)


@pytest.mark.parametrize("sharded", [True, False])
def test_weights_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharded: bool) -> None:
    """Those that the library reads: not their copies in a vendor's own form or in folders."""
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    own = [*parts, INDEX] if sharded else ["model.safetensors"]
    others = ["consolidated.safetensors", "original/model.safetensors", "onnx/model.onnx", "pytorch_model.bin"]
    there = ["config.json", "tokenizer.model", *own, *others]

    def download(path: str, *, revision: str, allow_patterns: list[str]) -> str:
        for name in filter_repo_objects(there, allow_patterns=allow_patterns):
            file = tmp_path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps({"weight_map": dict(enumerate(parts))}) if name == INDEX else "")
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    folder = HubCheckpoint(path="lab/three").files()
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert found == {"config.json", "tokenizer.model", *own}


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


def sharded(checkpoint: Path, folder: Path, *, below: str = "") -> Path:
    """A copy of a checkpoint whose weights an index places in several files, perhaps of a subfolder."""
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tensors = load_file(folder / SINGLE)
    (folder / SINGLE).unlink()
    (folder / below).mkdir(exist_ok=True)
    for place, name in enumerate(tensors):
        save_file({name: tensors[name]}, folder / below / f"{place}.safetensors", {"format": "pt"})
    placed = {name: f"{below}/{place}.safetensors".strip("/") for place, name in enumerate(tensors)}
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    return folder


def test_weights_in_a_subfolder_are_part_of_the_identity(
    tiny_checkpoint: Path, tmp_path: Path, spec: ModelSpec
) -> None:
    source = HubCheckpoint(path=str(sharded(tiny_checkpoint, tmp_path, below="parts")))
    before, whole = source.identity(), load(source, spec)
    file = tmp_path / "parts" / "0.safetensors"
    save_file({name: values * 2 for name, values in load_file(file).items()}, file, {"format": "pt"})
    assert source.identity() != before
    changed = load(source, spec)
    assert any(not a.equal(b) for a, b in zip(whole.model.parameters(), changed.model.parameters(), strict=True))


@pytest.mark.parametrize("harm", ["pickled", "above", "gone", "no map"])
def test_an_index_names_safetensors_of_its_own_folder(
    tiny_checkpoint: Path, tmp_path: Path, spec: ModelSpec, harm: str
) -> None:
    """Else torch would unpickle what is named, or what is loaded would lie where no identity looks."""
    folder = tmp_path / "model"
    folder.mkdir()
    index = json.loads((sharded(tiny_checkpoint, folder) / INDEX).read_text())
    torch.save(load_file(folder / "0.safetensors"), folder / "0.bin")
    (tmp_path / "0.safetensors").write_bytes((folder / "0.safetensors").read_bytes())
    said = {
        "pickled": "0.bin",
        "above": "../0.safetensors",
        "gone": "gone.safetensors",
    }
    for name, file in index["weight_map"].items():
        index["weight_map"][name] = said.get(harm, file) if file == "0.safetensors" else file
    (folder / INDEX).write_text(json.dumps([] if harm == "no map" else index))
    source = HubCheckpoint(path=str(folder))
    for use in (source.identity, lambda: load(source, spec)):
        with pytest.raises(UserError, match="index"):
            use()
