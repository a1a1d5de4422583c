"""The benchmark of sampling runs, very small."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts" / "bench" / "sampling"


def test_smoke() -> None:
    done = subprocess.run([sys.executable, str(BENCH), "--smoke"], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| tiny |")]
    assert [line.split("|")[2].strip() for line in lines] == ["generate", "hneuro", "one by one"]


def test_a_model_of_conf(tiny_checkpoint: Path) -> None:
    """Its answers are cut off, which no further sample can mend: in rounds fewer are drawn, and as many are kept."""
    words = ["model.name=tiny", f"model.chat.path={tiny_checkpoint}", "model.dtype=float32", "dataset.answer_tokens=4"]
    command = [sys.executable, str(BENCH), "--model", "hub", "--questions", "8", "--rounds", "1", "--override", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines() if line.startswith("|")]
    drawn = {cells[1]: int(cells[2]) for cells in lines[2:]}
    every = dict.fromkeys(("generate, 64 rows", "generate, 128 rows", "hneuro, all samples"), 80)
    assert drawn == every | {"hneuro, in rounds": drawn["hneuro, in rounds"]}
    assert 8 <= drawn["hneuro, in rounds"] < 80
    assert min(float(cells[7]) for cells in lines[2:4]) == 1
    assert "the same" in done.stdout


def test_a_config_that_cannot_be_compared(tiny_checkpoint: Path) -> None:
    words = ["model.name=tiny", f"model.chat.path={tiny_checkpoint}", "sampling.decoding.temperature=0"]
    command = [sys.executable, str(BENCH), "--model", "hub", "--override", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch("error: .* with a temperature above 0 .*\n", done.stderr)
