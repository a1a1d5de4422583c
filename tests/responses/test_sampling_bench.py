"""The benchmark of sampling runs, very small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts" / "bench" / "sampling"


def test_smoke() -> None:
    done = subprocess.run([sys.executable, str(BENCH), "--smoke"], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| tiny |")]
    assert [line.split("|")[2].strip() for line in lines] == ["generate", "hneuro", "one by one"]
