"""Does a text go round in circles? At large alpha models derail, which must not look like an answer."""

from __future__ import annotations

from collections.abc import Sequence

SPAN = 3  # words
FEWEST = 12  # words below which nothing can be said
MOST = 0.4  # of the spans may be repetitions
RULE = {"span": SPAN, "fewest": FEWEST, "most": MOST}


def degenerate(text: str) -> bool:
    """More than 40 % of its runs of three words have been there before; or one run of characters fills it."""
    words = text.split()
    if len(words) >= FEWEST:
        return _repeated([tuple(words[n : n + SPAN]) for n in range(len(words) - SPAN + 1)]) > MOST
    characters = "".join(words)
    if len(characters) < 8 * FEWEST:
        return False
    return _repeated([characters[n : n + 2 * SPAN] for n in range(len(characters) - 2 * SPAN + 1)]) > MOST


def _repeated(spans: Sequence[object]) -> float:
    return 1 - len(set(spans)) / len(spans)
