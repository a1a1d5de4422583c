"""A launcher without a bound is handed as many cells at a time as the machine can take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from hneuro.cli import main
from hneuro.sweeps.plan import Cell
from hneuro.sweeps.waves import at_once, in_waves

CELLS = [Cell(number=n, overrides=(), varied=()) for n in range(5)]


def asked(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The launcher as it is composed."""
    assert main(["run", "--cfg", "hydra", *words]) == 0
    found: dict[str, object] = yaml.safe_load(capsys.readouterr().out)["hydra"]["launcher"]
    return found


def test_only_the_local_executor_is_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hneuro.sweeps.waves.cores", lambda: 8)
    local = "launcher=slurm_local"
    assert at_once(asked([local], capsys)) == 8
    assert at_once(asked([local, "hydra.launcher.cpus_per_task=3"], capsys)) == 2
    assert at_once(asked([local, "hydra.launcher.cpus_per_task=9"], capsys)) == 1
    assert at_once(asked([local, "hydra.launcher.gpus_per_node=1"], capsys)) == 1
    assert at_once(asked(["hydra/launcher=submitit_local"], capsys)) == 8  # as Hydra has it, without our yaml
    for other in ("in_process", "joblib", "slurm"):
        assert at_once(asked([f"launcher={other}"], capsys)) is None


def test_a_wave_that_breaks_down_costs_the_others_nothing() -> None:
    seen: list[list[int]] = []

    def launch(batch: Sequence[Cell]) -> None:
        seen.append([cell.number for cell in batch])
        if batch[0].number == 2:
            raise RuntimeError("a worker was terminated")

    with pytest.raises(RuntimeError, match="terminated"):
        in_waves(launch, CELLS, 2)
    assert seen == [[0, 1], [2, 3], [4]]
    seen.clear()
    in_waves(launch, CELLS, None)
    assert seen == [[0, 1, 2, 3, 4]]
