"""An edited checkpoint is what the hook does, made permanent, and can be undone to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from hneuro.models.edits import edits, scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import intervene
from hneuro.models.load import Loaded
from hneuro.models.patch import PATCH, Patch, apply_patch, read_patch
from hneuro.models.rewrite import COLUMNS, edit_checkpoint, revert_checkpoint
from hneuro.models.sources import HubCheckpoint
from hneuro.records import NeuronSpace, UserError

TOKENS = torch.arange(1, 12)[None]
NEURONS = (3, 39, 47, 101)  # in layers 0, 0, 1 and 2 of 40 neurons each


def made(model: Any, folder: Path) -> HubCheckpoint:
    model.save_pretrained(folder, max_shard_size="6KB")
    (folder / "README.md").write_text("the original card")
    return HubCheckpoint(path=str(folder))


def patch_of(source: HubCheckpoint, alpha: float, neurons: tuple[int, ...] = NEURONS) -> Patch:
    space = NeuronSpace(n_layers=3, width=40)
    return Patch(neurons=neurons, alpha=alpha, space=space, weights=source.identity())


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.parametrize("alpha", [0.0, 0.3, 3.0])
@pytest.mark.parametrize("name", ["llama", "gpt2", "phi3"])
def test_the_edited_checkpoint_does_what_the_hook_does(
    layout: Callable[[str], Any], tmp_path: Path, name: str, alpha: float
) -> None:
    model = layout(name)
    source = made(model, tmp_path / "original")
    before = contents(tmp_path / "original")
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, alpha))
    assert contents(tmp_path / "original") == before
    edited = AutoModelForCausalLM.from_pretrained(tmp_path / "edited").eval()
    ffn = find_ffn(model)
    with torch.no_grad():
        plain = model(input_ids=TOKENS).logits
        with intervene(ffn, edits(ffn.space, [scaled(NEURONS, alpha)], "cpu", torch.float32)):
            hooked = model(input_ids=TOKENS).logits
        own = edited(input_ids=TOKENS).logits
    assert not torch.allclose(own, plain, atol=1e-4)
    assert torch.allclose(own, hooked, atol=1e-5)
    apply_patch(Loaded(model, ffn), patch_of(source, alpha))
    assert torch.equal(model(input_ids=TOKENS).logits, own), "a patch in memory is the edit in the files"


def test_half_precision_is_scaled_in_the_precision_of_the_file(layout: Callable[[str], Any], tmp_path: Path) -> None:
    model = layout("llama").bfloat16()
    source = made(model, tmp_path / "original")
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, 1.7))
    edited = AutoModelForCausalLM.from_pretrained(tmp_path / "edited", dtype="auto")
    old, new = (find_ffn(m).layers[1].weight for m in (model, edited))
    assert new.dtype == torch.bfloat16
    assert torch.equal(new[:, 7], old[:, 7] * 1.7)
    assert torch.equal(new[:, :7], old[:, :7])


@pytest.mark.parametrize("name", ["llama", "gpt2"])
def test_reverting_gives_the_original_files_back(layout: Callable[[str], Any], tmp_path: Path, name: str) -> None:
    source = made(layout(name), tmp_path / "original")
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, 0.0))
    (tmp_path / "edited" / "README.md").write_text("a card of the edit")
    assert read_patch(tmp_path / "edited").neurons == NEURONS
    revert_checkpoint(tmp_path / "edited")
    assert contents(tmp_path / "edited") == contents(tmp_path / "original")
    with pytest.raises(UserError, match="no edited checkpoint"):
        revert_checkpoint(tmp_path / "edited")


def test_a_file_that_something_else_changed_is_not_called_the_original(
    layout: Callable[[str], Any], tmp_path: Path
) -> None:
    source = made(layout("llama"), tmp_path / "original")
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, 2.0))
    edits = json.loads((tmp_path / "edited" / "hneuro_edits.json").read_text())
    file = tmp_path / "edited" / edits[0]["file"]
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    with pytest.raises(UserError, match="changed by something else"):
        revert_checkpoint(tmp_path / "edited")
    (tmp_path / "edited" / COLUMNS).unlink()
    with pytest.raises(UserError, match="what it was is lost"):
        revert_checkpoint(tmp_path / "edited")


def test_what_was_begun_and_killed_is_no_checkpoint_and_is_begun_again(
    layout: Callable[[str], Any], tmp_path: Path
) -> None:
    source = made(layout("llama"), tmp_path / "original")
    (tmp_path / "edited.partial").mkdir()
    (tmp_path / "edited.partial" / "model.safetensors").write_text("half")
    edit_checkpoint(source, tmp_path / "edited", patch_of(source, 2.0))
    assert not (tmp_path / "edited.partial").exists()
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "edited")
    with pytest.raises(UserError, match="exists already"):
        edit_checkpoint(source, tmp_path / "edited", patch_of(source, 2.0))


@pytest.mark.parametrize("alpha", [-0.5, float("nan"), float("inf")])
def test_an_alpha_that_is_none_is_refused(alpha: float) -> None:
    with pytest.raises(UserError, match="alpha must be finite and not negative"):
        Patch(neurons=(1,), alpha=alpha, space=NeuronSpace(n_layers=1, width=3), weights="")


def test_neurons_of_another_model_are_refused(layout: Callable[[str], Any], tmp_path: Path) -> None:
    source = made(layout("llama"), tmp_path / "original")
    space = NeuronSpace(n_layers=4, width=40)
    wrong = Patch(neurons=(1,), alpha=0.0, space=space, weights=source.identity())
    with pytest.raises(UserError, match=r"for a model with .*n_layers=4"):
        edit_checkpoint(source, tmp_path / "edited", wrong)
    other = Patch(neurons=(1,), alpha=0.0, space=NeuronSpace(n_layers=3, width=40), weights="elsewhere")
    with pytest.raises(UserError, match="for other weights"):
        edit_checkpoint(source, tmp_path / "edited", other)
    with pytest.raises(UserError, match="neuron 120 is outside the 120"):
        patch_of(source, 0.0, (120,))
    with pytest.raises(UserError, match="list is empty"):
        patch_of(source, 0.0, ())
    assert not list(tmp_path.glob("edited*"))


def test_a_checkpoint_without_safetensors_is_refused(layout: Callable[[str], Any], tmp_path: Path) -> None:
    source = made(layout("llama"), tmp_path / "original")
    patch = patch_of(source, 0.0)
    for file in (tmp_path / "original").glob("*.safetensors*"):
        file.unlink()
    with pytest.raises(UserError, match="has no safetensors files"):
        edit_checkpoint(source, tmp_path / "edited", patch)


def test_a_target_that_cannot_be_written_is_one_line(layout: Callable[[str], Any], tmp_path: Path) -> None:
    source = made(layout("llama"), tmp_path / "original")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"^cannot keep the edited checkpoint in .*file"):
        edit_checkpoint(source, tmp_path / "file" / "edited", patch_of(source, 0.0))


@pytest.mark.parametrize("text", ["", "[1, 2]", '{"neurons": [1]}'])
def test_a_file_that_is_no_patch_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / PATCH).write_text(text)
    with pytest.raises(UserError, match="is no patch of hneuro"):
        read_patch(tmp_path)
    with pytest.raises(UserError, match="there is no patch"):
        read_patch(tmp_path / "nowhere.json")
