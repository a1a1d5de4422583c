"""What a rehearsal says of the sizes behind what it can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from hneuro.causal.grid import SweepSettings
from hneuro.commands.dry_run import columns_of
from hneuro.models.sources import HubCheckpoint, on_disk


def test_controls_are_counted_where_they_are_swept() -> None:
    ends = columns_of(SweepSettings())
    assert ends == {
        "untouched": 1,
        "of neuron sets": 6,
        "of controls": 2 * 20 * 2,
        "of negative neurons": 6,
        "of variants": 0,
    }
    everywhere = columns_of(SweepSettings(control_alphas="all", ranked=5, negative=False))
    assert (everywhere["of controls"], everywhere["of neuron sets"]) == (2 * 2 * 20 * 6, 12)
    variants = columns_of(SweepSettings(variants=("generated", "mean"), controls=()))
    assert variants["of variants"] == 2 + 1


def test_cached_weights_are_found_and_a_part_of_them_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    commit = "d" * 40
    folder = tmp_path / "models--lab--cached" / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    source = HubCheckpoint(path="lab/cached", revision=commit)
    assert on_disk(source) is None
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}')
    (folder / "1.safetensors").touch()
    assert on_disk(source) is None
    (folder / "2.safetensors").touch()
    assert on_disk(source) == folder
