"""The bench of the README runs, and at its smallest size too it keeps its promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts" / "bench" / "selection"


def test_smoke(tmp_path):
    command = [sys.executable, str(BENCH), "--smoke", "--folder", str(tmp_path), "--problems", "1"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    table = [[cell.strip() for cell in line.split("|")[1:]] for line in printed.splitlines() if line.startswith("| 2")]
    rows = {cells[1]: cells for cells in table}
    assert float(rows["path of 10 C"][7]) <= 1e-4
    assert float(rows["path, gap 1e-6"][7]) <= 1e-6
    assert int(rows["path of 10 C"][8]) <= 16
    assert rows["one liblinear fit at 2,000"][4] == "1.000"
    assert "penalised intercept, C = 1: the same" in printed
    assert list(tmp_path.iterdir()) == []  # the data are gone
