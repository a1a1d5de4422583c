"""What a rehearsal says of the sizes behind what it can see."""

from __future__ import annotations

from pathlib import Path

import pytest

from hneuro.causal.grid import SweepSettings, columns_of
from hneuro.commands.costs import Asked, Cost, Need, total
from hneuro.models.sources import HubCheckpoint, on_disk


def test_controls_are_counted_where_they_are_swept() -> None:
    ends = columns_of(SweepSettings())
    assert ends == {
        "untouched": 1,
        "of neuron sets": 6,
        "of controls": 4 * 5 * 2,
        "of negative neurons": 0,
        "of variants": 0,
    }
    everywhere = columns_of(SweepSettings(control_alphas="all", ranked=5, negative=False))
    assert (everywhere["of controls"], everywhere["of neuron sets"]) == (2 * 4 * 5 * 6, 12)
    variants = columns_of(SweepSettings(variants=("mean",), controls=()))
    assert variants["of variants"] == 1


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


def cost(*needs: tuple[str, float | None], sweeps: float | None = 100.0, weights: float | None = 2e6) -> Cost:
    """Of a run that would compute the results at these places."""
    return Cost(
        needs=tuple(
            Need(stage="responses", place=Path(place), shards=4, done=0, bytes=1_000_000, model="m")
            for place, _ in needs
        ),
        seconds={Path(place): seconds for place, seconds in needs},
        sweeps=(Asked(stage="sweep-x", prompts=10, columns=4, seconds=sweeps),),
        weights=weights,
    )


def test_what_cells_share_is_counted_once_in_the_total() -> None:
    shared, other, more = cost(("a", 10.0)), cost(("a", 10.0), ("b", 5.0)), cost(("c", None), weights=3e6)
    said = total([("one", shared), ("two", other), ("two", other), ("three", more)]).splitlines()
    assert said == [
        "all 4 cells, what they share counted once:",
        "  to compute: 3 results, 15 s and 1 of unknown time",
        "  alpha sweeps: 3 sweeps, about 300 s, without what reads the answers",
        "  disk: 3.0 MB, where it is known",
        "  memory: 3.0 MB of weights in each process at a time, batches come on top",
    ]


def test_a_total_of_nothing_known_says_so() -> None:
    said = total([("one", cost(("a", None), sweeps=None, weights=None))])
    assert "1 result, time unknown" in said
    assert "1 sweep, time unknown" in said
    assert "memory: unknown before the files of the models are here" in said
    assert "0 results, 0 s" in total([])
