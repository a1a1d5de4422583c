"""`hneuro watch`: the answer in the terminal, each token coloured by its risk as it comes."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from hneuro.detector import Answer, Detector

CALM, ALARM = (90, 160, 90), (225, 60, 45)  # red, green, blue


def watch(run_dir: Path, question: str, max_new_tokens: int) -> int:
    """Prints the answer, and what the detector says of it as a whole."""
    console, stream = Console(highlight=False), Detector.load(run_dir).stream(question, max_new_tokens)
    while True:
        try:
            token = next(stream)
        except StopIteration as end:
            console.print("\n" + _verdict(end.value), markup=False)
            return 0
        console.print(Text(_harmless(token.text), style=_colour(token.risk)), end="", soft_wrap=True)


def _colour(risk: float) -> str:
    red, green, blue = (round(calm + risk * (alarm - calm)) for calm, alarm in zip(CALM, ALARM, strict=True))
    return f"{'bold ' if risk > 0.5 else ''}rgb({red},{green},{blue})"


def _harmless(text: str) -> str:
    """Without what a terminal obeys."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def _verdict(answer: Answer | None) -> str:
    if answer is None:
        return "unchecked: nothing was said"
    if answer.unchecked:
        return f"unchecked: {answer.unchecked}"
    sign, word = (">", "flagged") if answer.flagged else ("<=", "not flagged")
    stated = _harmless("".join(answer.tokens[n] for n in answer.stated).strip())
    likely = "" if answer.probability is None else f", wrong with probability {answer.probability:.0%}"
    return f"{word}: {answer.score:.2f} {sign} {answer.threshold:.2f}{likely}, read at {stated!r}"
