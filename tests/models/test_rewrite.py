"""An edited checkpoint is what the hook does, made permanent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from hneuro.models.edits import edits, scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import intervene
from hneuro.models.load import Loaded
from hneuro.models.patch import PATCH, Patch, apply_patch, read_patch
from hneuro.models.rewrite import edit_checkpoint
from hneuro.models.sources import HubCheckpoint
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

TOKENS = torch.arange(1, 12)[None]
NEURONS = (3, 39, 47, 101)  # in layers 0, 0, 1 and 2 of 40 neurons each


def made(model: Any, folder: Path) -> HubCheckpoint:
    model.save_pretrained(folder, max_shard_size="6KB")
    assert (folder / "model.safetensors.index.json").exists()
    (folder / "README.md").write_text("the original card")
    return HubCheckpoint(path=str(folder))


def patch_of(source: HubCheckpoint, alpha: float, neurons: tuple[int, ...] = NEURONS) -> Patch:
    space = NeuronSpace(n_layers=3, width=40)
    return Patch(neurons=neurons, alpha=alpha, space=space, weights=source.identity())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("name", "alpha"),
    [
        *product(("phi3", "gemma3_multimodal", "gpt2", "opt", "lfm2"), (3.0,)),
        *product(("llama",), (0.0, 0.3, 0.5, 2.0)),
    ],
)
def test_the_edited_checkpoint_does_what_the_hook_does(
    layout: Callable[[str], Any], tmp_path: Path, name: str, alpha: float
) -> None:
    model = layout(name)
    if alpha == 2.0:
        model = model.bfloat16()
    source = made(model, tmp_path / "original")
    before = contents(tmp_path / "original")
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, alpha))
    assert contents(tmp_path / "original") == before
    model, edited = (
        type(model).from_pretrained(tmp_path / which, dtype="auto").eval().requires_grad_(False)
        for which in ("original", "edited")
    )
    ffn = find_ffn(model)
    with torch.no_grad():
        plain = model(input_ids=TOKENS).logits
        with intervene(ffn, edits(ffn.space, [scaled(NEURONS, alpha)], "cpu", torch.float32)):
            hooked = model(input_ids=TOKENS).logits
        own = edited(input_ids=TOKENS).logits
    assert not torch.allclose(own, plain, atol=1e-4)
    assert torch.allclose(own, hooked, atol=1e-5)
    if alpha in (0.0, 0.5, 2.0):
        assert torch.equal(own, hooked), "0 and powers of two round nothing, in bfloat16 neither"
    apply_patch(Loaded(model, ffn), patch_of(source, alpha))
    assert torch.equal(model(input_ids=TOKENS).logits, own), "a patch in memory is the edit in the files"


def test_what_was_begun_and_killed_is_no_checkpoint_and_is_begun_again(
    layout: Callable[[str], Any], tmp_path: Path
) -> None:
    source = made(layout("llama"), tmp_path / "original")
    (tmp_path / ".edited.hneuro-partial").mkdir()
    (tmp_path / ".edited.hneuro-partial" / "model.safetensors").write_text("half")
    (tmp_path / "edited").mkdir()  # an empty folder is as good as none
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, 2.0))
    assert not (tmp_path / ".edited.hneuro-partial").exists()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "edited")
    with pytest.raises(UserError, match="exists already"):
        edit_checkpoint(source, tmp_path / "edited", patch_of(source, 2.0))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        *(({"alpha": alpha}, "alpha must be finite and not negative") for alpha in (-0.5, float("nan"))),
        ({"alpha": 1.0}, "alpha = 1 is the untouched model"),
        ({"neurons": (120,)}, "neuron 120 is outside the 120"),
        ({"neurons": ()}, "list is empty"),
    ],
)
def test_a_patch_that_cannot_be_meant_is_refused(fields: dict[str, Any], why: str) -> None:
    space = NeuronSpace(n_layers=3, width=40)
    with pytest.raises(UserError, match=why):
        Patch(**{"neurons": (1,), "alpha": 0.0, "space": space, "weights": "", **fields})


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        ("other shape", r"for a model with .*n_layers=4"),
        ("other weights", "for other weights"),
        ("no safetensors", "has no safetensors files"),
        ("experts", r"cannot be edited in its files: .* is a mixture of experts"),
        ("quantised", r"layers.1.mlp.down_proj.weight in .* is F8_E4M3 of .*, not plain"),
        ("too large", r"times 1e\+06 is too large for its torch.float16"),
        ("no room", r"needs 0.0 GB, and .* has 0.0 GB: make room"),
    ],
)
def test_what_cannot_be_edited_is_told_and_leaves_nothing(
    harm: str, why: str, layout: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = layout("mixtral" if harm == "experts" else "llama")
    source = made(model.half() if harm == "too large" else model, tmp_path / "original")
    patch = patch_of(source, 1e6 if harm == "too large" else 0.0)
    shards = sorted((tmp_path / "original").glob("*.safetensors"))
    if harm == "other shape":
        patch = replace(patch, space=NeuronSpace(n_layers=4, width=40))
    elif harm == "other weights":
        patch = replace(patch, weights="elsewhere")
    elif harm == "no room":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2000, 1000, 1000))
    elif harm == "no safetensors":
        for file in (tmp_path / "original").glob("*.safetensors*"):
            file.unlink()
    elif harm == "quantised":
        name = "model.layers.1.mlp.down_proj.weight"
        file = next(file for file in shards if name in load_file(file))
        tensors = load_file(file)
        save_file(tensors | {name: tensors[name].to(torch.float8_e4m3fn)}, file, metadata={"format": "pt"})
        patch = patch_of(source, 0.0)
    with pytest.raises(UserError, match=why):
        edit_checkpoint(source, tmp_path / "edited", patch)
    assert {f.name for f in tmp_path.iterdir()} == {"original"}


@pytest.mark.parametrize("text", ["", '{"neurons": [1]}'])
def test_a_file_that_is_no_patch_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / PATCH).parent.mkdir()
    (tmp_path / PATCH).write_text(text)
    with pytest.raises(UserError, match="is not a patch of hneuro"):
        read_patch(tmp_path)
    with pytest.raises(UserError, match="there is no patch"):
        read_patch(tmp_path / "nowhere.json")


def test_weights_that_would_stay_as_they_were_are_left_out(layout: Callable[[str], Any], tmp_path: Path) -> None:
    """Engines that look for them first would run the unedited model; loaders that take all files would break."""
    source = made(layout("llama"), tmp_path / "original")
    patch = patch_of(source, 0.0)
    for name in ("consolidated.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json"):
        (tmp_path / "original" / name).write_bytes(b"{}")
    patch = patch_of(source, 0.0)
    edit_checkpoint(source, tmp_path / "edited", patch)
    assert {f.name for f in (tmp_path / "original").iterdir()} - {f.name for f in (tmp_path / "edited").iterdir()} == {
        "consolidated.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "README.md",
    }  # fmt: skip
    shards = set(json.loads((tmp_path / "edited" / "model.safetensors.index.json").read_text())["weight_map"].values())
    assert {f.name for f in (tmp_path / "edited").glob("*.safetensors")} == shards


def test_a_snapshot_of_the_hub_is_copied_and_never_edited_itself(
    layout: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = "a" * 40
    cached, blobs = tmp_path / "models--lab--edited" / "snapshots" / commit, tmp_path / "blobs"
    made(layout("llama"), blobs)
    cached.mkdir(parents=True)
    for blob in blobs.iterdir():
        (cached / blob.name).symlink_to(blob)
    (tmp_path / "models--lab--edited" / "refs").mkdir()
    (tmp_path / "models--lab--edited" / "refs" / "main").write_text(commit)
    source, before = HubCheckpoint(path="lab/edited"), contents(blobs)
    patch = patch_of(source, 0.0)
    assert patch.weights == f"lab/edited@{commit}"
    edit_checkpoint(source, tmp_path / "edited", patch)
    assert not [file for file in (tmp_path / "edited").rglob("*") if file.is_symlink()]
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "edited")
    assert contents(blobs) == before
