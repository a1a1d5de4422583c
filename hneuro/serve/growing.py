"""The text of an answer while it grows: what can be shown already, and where a stop string ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hneuro.detection.live import Turn
from hneuro.spans.tokens import BROKEN


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Text that is final, of the tokens start..stop of a choice."""

    choice: int
    text: str
    start: int
    stop: int
    risks: tuple[float, ...]  # log-odds [token] of those tokens
    thought: bool  # whether the model is still thinking


class Growing:
    """Holds back an unfinished character, and whatever may become a stop string."""

    def __init__(self, turn: Turn, text_of: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self.turn = turn
        self.text = ""  # that has been given out
        self._text_of = text_of
        self._stops = stops
        self._lengths: list[int] = []  # of the text after each token
        self._given = 0  # tokens

    def more(self) -> tuple[str, int, int] | None:
        """The next text with its tokens start..stop, if there is any. A stop string ends the turn, and is left out."""
        turn = self.turn
        text = self._text_of(turn.token_ids)
        self._lengths += [len(text)] * (len(turn.token_ids) - len(self._lengths))
        if text.endswith(BROKEN) and not turn.finish:
            return None
        begin = max(0, len(self.text) - max(map(len, self._stops), default=0))
        found = [(place, stop) for stop in self._stops if (place := text.find(stop, begin)) >= 0]
        if found:
            self._cut(min(found)[0])
            ready = text[: min(found)[0]]
        else:
            ready = text if turn.finish else text[: len(text) - _held(text, self._stops)]
        done = sum(length <= len(ready) for length in self._lengths) if not turn.finish else len(turn.token_ids)
        start, new = self._given, ready[len(self.text) :]
        if not new:
            return None
        self.text, self._given = ready, max(done, start)
        return new, start, self._given

    def _cut(self, length: int) -> None:
        """Ends the turn after the token that has the last of so many characters."""
        turn = self.turn
        kept = next((n for n, after in enumerate(self._lengths, 1) if after >= length), 0) if length else 0
        for values in (turn.token_ids, turn.logprobs, turn.likely, self._lengths):
            del values[kept:]
        del turn.log_odds[kept + 1 :]
        turn.finish = "stop"


def _held(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    return next((n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in stops)), 0)
