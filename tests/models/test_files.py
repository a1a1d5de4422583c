"""FFN weights read from files are those of the loaded model, and what is not plain is not guessed."""

from __future__ import annotations

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
    assert (own.layers[0].gate is None) == (type(dense).__name__[:3] in ("GPT", "OPT", "Fal"))
    for a, b in zip(stored.layers, own.layers, strict=True):
        assert torch.equal(a.down_rows(), b.down_rows())
        assert torch.equal(a.up_rows(), b.up_rows())
        gate, expected = a.gate_rows(), b.gate_rows()
        assert (gate is None) == (expected is None)
        if gate is not None and expected is not None:
            assert torch.equal(gate, expected)
            assert not torch.equal(gate, a.up_rows())
    assert (ranks_of(distances(stored, own))[0] == 0.5).all()


@pytest.mark.parametrize("harm", ["eight bits", "two candidates", "no safetensors"])
def test_what_is_not_plain_is_left_to_the_loaded_model(layout: Callable[[str], Any], tmp_path: Path, harm: str) -> None:
    source = saved(layout("llama"), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    name = "model.layers.1.mlp.down_proj.weight"
    weight = tensors.pop(name)
    changed = {
        "eight bits": {name: weight.to(torch.int8)},
        "two candidates": {f"a.{name}": weight, f"b.{name}": weight.clone()},
    }
    if harm == "no safetensors":
        file.unlink()
    else:
        save_file(tensors | changed.get(harm, {}), file)
    with pytest.raises(NotPlain):
        stored_ffn(source)


def test_a_spoilt_file_is_named(layout: Callable[[str], Any], tmp_path: Path) -> None:
    source = saved(layout("llama"), tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0not json")
    with pytest.raises(UserError, match=r"model.safetensors cannot be read"):
        stored_ffn(source)
