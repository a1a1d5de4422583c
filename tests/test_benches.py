"""The benches of the README run, very small, and what they time is right."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).parents[1] / "scripts" / "bench"


def printed(name: str, *args: str) -> list[str]:
    command = [sys.executable, str(BENCHES / name), *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def cells(lines: list[str], column: int) -> list[str]:
    return [line.split("|")[column].strip() for line in lines if line.startswith("| tiny |")]


def test_alpha() -> None:
    assert cells(printed("alpha", "--smoke"), 2) == ["plain", "grid", "sequential", "one by one"]


def test_extraction() -> None:
    lines = printed(
        "extraction", "--size", "tiny", "--dtype", "float32", "--rounds", "1", "--samples", "8", "--no-memory"
    )
    assert cells(lines, 3)[:3] == ["forward", "hneuro", "published"]
    agreement = next(line for line in lines if line.startswith("tiny, float32: "))
    assert float(agreement.split()[2]) <= 1  # of the tolerance


def test_selection(tmp_path: Path) -> None:
    lines = printed("selection", "--smoke", "--folder", str(tmp_path), "--problems", "1")
    table = [[cell.strip() for cell in line.split("|")[1:]] for line in lines if line.startswith("| 2")]
    rows = {row[1]: row for row in table}
    assert float(rows["path of 10 C"][7]) <= 1e-4
    assert float(rows["path, gap 1e-6"][7]) <= 1e-6
    assert int(rows["path of 10 C"][8]) <= 16
    assert rows["one liblinear fit at 2,000"][4] == "1.000"
    assert any("penalised intercept, C = 1: the same" in line for line in lines)
    assert list(tmp_path.iterdir()) == []  # the data are gone


def test_serve() -> None:
    rows = cells(printed("serve", "--size", "tiny", "--rounds", "1", "--tokens", "4"), 2)
    assert rows == ["1", "16"]


def test_attribution() -> None:
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed("attribution", "--smoke")]
    rows = {row[0]: row for row in table if len(row) == 6}
    assert [name for name in rows if name not in ("method", "---", "alpha")][:3] == ["forward", "log-odds", "effects"]
    told = [float(row[3]) for row in table if len(row) == 6 and row[1] == "both" and row[0] in ("0.9", "1.1")]
    assert len(told) == 2
    assert min(told) > 0.99
