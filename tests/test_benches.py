"""The benches run, very small, and what they time is right."""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

BENCHES = Path(__file__).parents[1] / "scripts" / "bench"
Printed = Callable[..., list[str]]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Printed]:
    """Runs a bench in this process, which has torch already, and returns its lines."""
    monkeypatch.syspath_prepend(BENCHES)
    threads = torch.get_num_threads()

    def run(name: str, *args: str) -> list[str]:
        monkeypatch.setattr("sys.argv", [str(BENCHES / name), *args])
        try:
            runpy.run_path(str(BENCHES / name), run_name="__main__")
        except SystemExit as end:
            if end.code:
                raise
        return capsys.readouterr().out.splitlines()

    yield run
    torch.set_num_threads(threads)


def cells(lines: list[str], column: int) -> list[str]:
    return [line.split("|")[column].strip() for line in lines if line.startswith("| tiny |")]


def test_alpha(printed: Printed) -> None:
    assert cells(printed("alpha", "--smoke"), 2) == ["plain", "grid", "sequential", "one by one"]


def test_sampling(printed: Printed) -> None:
    assert cells(printed("sampling", "--smoke"), 2) == ["generate", "hneuro", "one by one"]


def test_sampling_of_a_model_as_in_a_run(printed: Printed, tiny_checkpoint: Path) -> None:
    words = ("model.name=tiny", f"model.chat.path={tiny_checkpoint}", "model.dtype=float32", "dataset.answer_tokens=4")
    lines = printed("sampling", "--model", "hub", "--questions", "12", "--rounds", "1", "--override", *words)
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| hneuro")] == [
        "hneuro, all samples",
        "hneuro, in rounds",
    ]
    assert any(line.startswith("kept by both of hneuro's: the same ") for line in lines)


def test_growth(printed: Printed, tmp_path: Path) -> None:
    lines = printed("growth", str(tmp_path / "growth.png"), "--smoke", "--only", "neurons", "controls")
    assert [line.split("|")[2].strip() for line in lines if line[:3] in ("| n", "| c")] == ["500", "1,000", "5", "10"]
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_extraction(printed: Printed) -> None:
    lines = printed(
        "extraction", "--model", "tiny", "--dtype", "float32", "--rounds", "1", "--samples", "8", "--no-memory"
    )
    assert cells(lines, 3)[:3] == ["forward", "hneuro", "published"]
    agreement = next(line for line in lines if line.startswith("tiny, float32: "))
    assert float(agreement.split()[2]) <= 1  # of the tolerance


def test_selection(printed: Printed, tmp_path: Path) -> None:
    lines = printed("selection", "--smoke", "--folder", str(tmp_path), "--problems", "1")
    table = [[cell.strip() for cell in line.split("|")[1:]] for line in lines if line.startswith("| 2")]
    rows = {row[1]: row for row in table}
    assert float(rows["path of 10 C"][7]) <= 1e-4
    assert float(rows["path, gap 1e-6"][7]) <= 1e-6
    assert int(rows["path of 10 C"][8]) <= 16
    assert rows["one liblinear fit at 2,000"][4] == "1.000"
    assert any("penalised intercept, C = 1: the same" in line for line in lines)
    assert list(tmp_path.iterdir()) == []  # the data are gone


def test_serve(printed: Printed) -> None:
    rows = cells(printed("serve", "--model", "tiny", "--rounds", "1", "--tokens", "4"), 2)
    assert rows == ["1", "16"]


def test_attribution(printed: Printed) -> None:
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed("attribution", "--smoke")]
    rows = {row[0]: row for row in table if len(row) == 6}
    assert [name for name in rows if name not in ("method", "---", "alpha")][:3] == ["forward", "log-odds", "effects"]
    told = [float(row[3]) for row in table if len(row) == 6 and row[1] == "both" and row[0] in ("0.9", "1.1")]
    assert len(told) == 2
    assert min(told) > 0.99
