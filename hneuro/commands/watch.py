"""`hneuro watch`: the answer in the terminal, each token coloured by its risk as it comes."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from hneuro.commands.score import harmless, verdict
from hneuro.detector import Detector

CALM, ALARM = (90, 160, 90), (225, 60, 45)  # red, green, blue


def watch(run_dir: Path, question: str, max_new_tokens: int) -> int:
    """Prints the answer, and what the detector says of it as a whole."""
    console, stream = Console(highlight=False), Detector.load(run_dir).stream(question, max_new_tokens)
    while True:
        try:
            token = next(stream)
        except StopIteration as end:
            said = "unchecked: nothing was said" if end.value is None else verdict(end.value)
            console.print("\n" + said, markup=False)
            return 0
        console.print(Text(harmless(token.text), style=_colour(token.risk)), end="", soft_wrap=True)


def _colour(risk: float) -> str:
    red, green, blue = (round(calm + risk * (alarm - calm)) for calm, alarm in zip(CALM, ALARM, strict=True))
    return f"{'bold ' if risk > 0.5 else ''}rgb({red},{green},{blue})"
