"""`hneuro edit` of a model that is a GGUF file, held against the original on the benchmarks of a run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gguf_files import write_gguf

from hneuro.cli import main


@pytest.mark.parametrize("name", ["edited.gguf", "edited"])
def test_a_file_or_a_folder_answers_as_the_hook_does(
    name: str, finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, run = finished
    write_gguf(model, tmp_path / "model.gguf")
    words = ["edit", str(run), "--model", str(tmp_path / "model.gguf"), "--alpha", "0.5", "--neurons", "ranked"]
    assert main([*words, "--out", str(tmp_path / name)]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert told.startswith(f"edited checkpoint: {tmp_path / name} (5 neurons times 0.5, ranked of the run tiny--")
    (same, prompts), *_ = re.findall(r"On (\d+) of (\d+) prompts the edited checkpoint gives the very words", told)
    assert int(same) == int(prompts) > 8
    assert (tmp_path / name).is_dir() is (name == "edited")
