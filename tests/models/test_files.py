"""FFN weights read from files are those of the loaded model, and what is not plain is not guessed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hneuro.models.ffn import find_ffn
from hneuro.models.files import NotPlain, stored_ffn
from hneuro.models.sources import HubCheckpoint
from hneuro.origin.drift import distances, ranks_of
from hneuro.records import UserError


def saved(model: Any, folder: Path, **options: Any) -> HubCheckpoint:
    model.save_pretrained(folder, **options)
    return HubCheckpoint(path=str(folder))


def test_rows_in_the_files_are_those_of_the_model(dense: Any, tmp_path: Path) -> None:
    """Sharded into many files, with fused projections, transposed weights and wrappers around the decoder."""
    source = saved(dense, tmp_path / "model", max_shard_size="4KB")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    stored, own = stored_ffn(source), find_ffn(dense)
    assert stored.space == own.space
    for a, b in zip(stored.layers, own.layers, strict=True):
        assert torch.equal(a.down_rows(), b.down_rows())
        assert torch.equal(a.up_rows(), b.up_rows())
        gate, expected = a.gate_rows(), b.gate_rows()
        assert (gate is None) == (expected is None)
        if gate is not None and expected is not None:
            assert torch.equal(gate, expected)
            assert not torch.equal(gate, a.up_rows())
    assert (ranks_of(distances(stored, own))[0] == 0.5).all()


def test_gates_are_found_where_there_are_any(layout: Callable[[str], Any]) -> None:
    gated = {name: find_ffn(layout(name)).layers[0].gate is not None for name in ("llama", "phi3", "gpt2", "opt")}
    assert gated == {"llama": True, "phi3": True, "gpt2": False, "opt": False}


def test_one_file_and_no_index(layout: Callable[[str], Any], tmp_path: Path) -> None:
    model = layout("llama")
    stored = stored_ffn(saved(model, tmp_path))
    assert torch.equal(stored.layers[2].down_rows(), find_ffn(model).layers[2].down_rows())


@pytest.mark.parametrize("harm", ["eight bits", "another shape", "two candidates", "none", "no safetensors"])
def test_what_is_not_plain_is_left_to_the_loaded_model(layout: Callable[[str], Any], tmp_path: Path, harm: str) -> None:
    source = saved(layout("llama"), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.1.mlp.down_proj.weight"
    weight = tensors.pop(name)
    changed = {
        "eight bits": {name: weight.to(torch.int8)},
        "another shape": {name: weight[:, :20].contiguous()},
        "two candidates": {f"a.{name}": weight, f"b.{name}": weight.clone()},
    }
    if harm == "no safetensors":
        file.unlink()
    else:
        save_file(tensors | changed.get(harm, {}), file)
    with pytest.raises(NotPlain):
        stored_ffn(source)


def test_mixtures_are_left_to_the_loaded_model(layout: Callable[[str], Any], tmp_path: Path) -> None:
    with pytest.raises(NotPlain, match="mixture"):
        stored_ffn(saved(layout("mixtral"), tmp_path))


def test_a_spoilt_file_is_named(layout: Callable[[str], Any], tmp_path: Path) -> None:
    source = saved(layout("llama"), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    with pytest.raises(UserError, match=r"model.safetensors cannot be read"):
        stored_ffn(source)


def test_an_index_that_names_what_is_not_there(layout: Callable[[str], Any], tmp_path: Path) -> None:
    source = saved(layout("llama"), tmp_path, max_shard_size="4KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    shutil.move(tmp_path / index["weight_map"]["model.layers.1.mlp.down_proj.weight"], tmp_path / "elsewhere")
    with pytest.raises(UserError, match="is not complete"):
        stored_ffn(source)
