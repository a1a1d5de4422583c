"""The text of an answer while it grows: what can be shown already, and where a stop string ends it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hneuro.detection.live import Turn
from hneuro.spans.tokens import BROKEN


@dataclass(frozen=True, kw_only=True)
class Said:
    """Text that is final, and its place in the answer: characters and tokens start..stop."""

    text: str
    begin: int  # characters
    start: int
    stop: int

    @property
    def end(self) -> int:
        return self.begin + len(self.text)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A text whose tokens have all been read."""

    said: Said
    risks: Sequence[float]  # log-odds [token]
    thought: bool  # whether the model was still thinking


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What a step has brought to a choice: a new text, and what is known by now of this one or of the one before."""

    choice: int
    said: Said | None
    judged: Judged | None


class Growing:
    """Holds back an unfinished character, and the tokens that may have the beginning of a stop string."""

    def __init__(self, turn: Turn, text_of: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self.turn = turn
        self.text = ""  # that has been given out
        self._text_of = text_of
        self._stops = stops
        self._lengths: list[int] = []  # of the text after each token
        self._given = 0  # tokens
        self._closed = False
        self._unread: Said | None = None

    def more(self) -> Said | None:
        """The next text, if there is any. A stop string ends the turn, and is left out."""
        turn = self.turn
        if self._closed or (len(self._lengths) == len(turn.token_ids) and not turn.finish):
            return None
        text = self._text_of(turn.token_ids)
        self._lengths += [len(text)] * (len(turn.token_ids) - len(self._lengths))
        self._lengths = [min(length, len(text)) for length in self._lengths]  # several tokens may be one character
        if text.endswith(BROKEN) and not turn.finish:
            return None
        ready = self._ready(text)
        start, new = self._given, text[len(self.text) : ready]
        self._closed = bool(turn.finish)
        if not new:
            return None
        said = Said(
            text=new,
            begin=len(self.text),
            start=start,
            stop=len(turn.token_ids) if turn.finish else sum(length <= ready for length in self._lengths),
        )
        self.text, self._given, self._unread = text[:ready], said.stop, said
        return said

    def read(self, tokens: int) -> Said | None:
        """The text, once, as soon as so many tokens of the answer have been read."""
        said = self._unread
        if said is None or said.stop > tokens:
            return None
        self._unread = None
        return said

    def _ready(self, text: str) -> int:
        """How many characters can be given out."""
        begin = max(0, len(self.text) - max(map(len, self._stops), default=0))
        if places := [place for stop in self._stops if (place := text.find(stop, begin)) >= 0]:
            self._cut(min(places))
            return min(places)
        if self.turn.finish:
            return len(text)
        most = len(text) - _held(text, self._stops)
        return max((length for length in self._lengths if length <= most), default=0)

    def _cut(self, length: int) -> None:
        """Ends the turn after the token that has the last of so many characters."""
        turn = self.turn
        kept = next((n for n, after in enumerate(self._lengths, 1) if after >= length), 0) if length else 0
        for values in (turn.token_ids, turn.logprobs, turn.likely, self._lengths):
            del values[kept:]
        del turn.log_odds[kept + 1 :], turn.added[kept + 1 :]
        turn.finish = "stop"


def _held(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end may be the beginning of a stop string."""
    longest = max(map(len, stops), default=1) - 1
    return next((n for n in range(longest, 0, -1) if any(stop.startswith(text[-n:]) for stop in stops)), 0)
