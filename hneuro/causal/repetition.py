"""Does a text go round in circles? At large alpha models derail, which must not look like an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

SPAN = 3  # words
FEWEST = 12  # words from which spans of them are compared
MOST = 0.4  # of the spans may be repetitions
SHORTEST = 6  # words of a shorter text, from which they are compared one by one
MOST_WORDS = 0.5  # of them may be repetitions
IN_A_ROW = 3  # times the same word


def degenerate(text: str) -> bool:
    """More than 40 % of its runs of three words have been there before; or one run of characters fills it.

    Of a text of less than twelve words: more than half of at least six words. At any length: the same word three times
    in a row.
    """
    words = text.split()
    plain = [word for part in words if (word := re.sub(r"\W+", "", part.casefold()))]
    if any(len(set(plain[n : n + IN_A_ROW])) == 1 for n in range(len(plain) - IN_A_ROW + 1)):
        return True
    if len(words) >= FEWEST:
        return _repeated([tuple(words[n : n + SPAN]) for n in range(len(words) - SPAN + 1)]) > MOST
    if len(plain) >= SHORTEST and _repeated(plain) > MOST_WORDS:
        return True
    characters = "".join(words)
    if len(characters) < 8 * FEWEST:
        return False
    return _repeated([characters[n : n + 2 * SPAN] for n in range(len(characters) - 2 * SPAN + 1)]) > MOST


def _repeated(spans: Sequence[object]) -> float:
    return 1 - len(set(spans)) / len(spans)
