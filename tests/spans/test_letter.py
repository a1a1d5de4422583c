"""Letters of options."""

from __future__ import annotations

from typing import Any

import pytest

from hneuro.spans.short_answer import LetterLocator

OPTIONS = ("Tiber", "Rhine", "Seine")


@pytest.mark.parametrize(
    "said", ["B", " B", "(B)", "**B**", "B. Rhine", "B) Rhine", "\nB. the Rhine\n", '"B"', "B.\nBecause of A and C."]
)
def test_the_letter_and_nothing_else(said: str, ask_any: Any) -> None:
    span = ask_any(LetterLocator(), said, options=OPTIONS)
    assert (span.text, span.method) == ("B", "letter")
    assert ask_any.shown(span, said).strip(' ().*"\n:') == "B"
    assert len(span.tokens) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Because", "no letter alone"),  # its first letter is that of an option
        ("Carbon", "no letter alone"),
        ("", "no letter alone"),
        ("I say B", "no letter alone"),
        ("D", "no option has this letter"),
    ],
)
def test_anything_else_is_counted(said: str, reason: str, ask: Any) -> None:
    assert ask(LetterLocator(), said, options=OPTIONS).reason == reason
