"""A finding in plain words, and how its verdict is coloured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hneuro.report.verdicts import Word

Tone = Literal["yes", "no", "partly", "plain"]

TONES: dict[Word, Tone] = {
    Word.DETECTS: "yes",
    Word.TRANSFERS: "yes",
    Word.EFFECT: "yes",
    Word.NO_DETECTION: "no",
    Word.NO_TRANSFER: "no",
    Word.NO_EFFECT: "no",
    Word.NOT_BETTER: "partly",
    Word.NOT_WITHIN: "partly",
    Word.NOTHING_HELD: "partly",
    Word.TOO_FEW_SETS: "partly",
    Word.UNREAD: "partly",
    Word.UNSPECIFIC: "partly",
    Word.UNCONTROLLED: "partly",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A sentence under a heading, with the word of its verdict in front."""

    heading: str
    badge: str
    tone: Tone
    text: str
    in_table: bool = False  # the headline table says the same
