"""The benchmark of extraction runs, very small, and what it times is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts" / "bench" / "extraction"
VERY_SMALL = ["--size", "tiny", "--dtype", "float32", "--rounds", "1", "--samples", "8", "--no-memory"]


def test_smoke() -> None:
    done = subprocess.run([sys.executable, str(BENCH), *VERY_SMALL], capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("| tiny |")]
    assert [line.split("|")[3].strip() for line in lines][:3] == ["forward", "hneuro", "published"]
    agreement = next(line for line in done.stdout.splitlines() if line.startswith("tiny, float32: "))
    assert float(agreement.split()[2]) <= 1  # of the tolerance
