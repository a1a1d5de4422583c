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


def test_a_config_that_cannot_be_compared(tiny_checkpoint: Path) -> None:
    words = ["model.name=tiny", f"model.chat.path={tiny_checkpoint}", "sampling.decoding.temperature=0"]
    command = [sys.executable, str(BENCH), "--model", "hub", "--override", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch("error: .* with a temperature above 0 .*\n", done.stderr)
