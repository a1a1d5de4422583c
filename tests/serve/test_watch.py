"""The terminal: what is said, its risk, and nothing that a terminal would obey."""

from __future__ import annotations

from pathlib import Path

import pytest
from serving import tiny_detector

from hneuro.cli import main
from hneuro.commands.score import harmless
from hneuro.detector import Detector


def test_watch_prints_the_answer_and_what_the_detector_says(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tiny_detector(tiny_checkpoint).save(tmp_path / "detector")
    said = Detector.load(place).answer("Who wrote Hamlet?", 12)
    for colours in (False, True):
        if colours:
            monkeypatch.setenv("FORCE_COLOR", "1")
            monkeypatch.setenv("COLORTERM", "truecolor")
        assert main(["watch", str(place), "Who wrote Hamlet?", "--max-tokens", "12"]) == 0
        shown = capsys.readouterr().out
        assert ("\x1b[" in shown) == colours
        if not colours:
            assert harmless(said.text.rstrip("\ufffd")) in shown
        assert f"{said.score:.2f} " in shown
        assert ("not flagged" in shown) != said.flagged
    assert main(["watch", str(tmp_path / "none"), "Who?"]) == 2


def test_a_model_cannot_command_the_terminal() -> None:
    assert harmless("a\x1b]0;title\x07\x9b31m\r\u202eb\n") == "a\ufffd]0;title\ufffd\ufffd31m\ufffd\ufffdb\n"
