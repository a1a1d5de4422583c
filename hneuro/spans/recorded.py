"""Answer tokens that somebody else located, aligned to our tokens as text."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from hneuro.questions.recorded import read_recordings
from hneuro.records import AnswerSpan, Response
from hneuro.spans.base import Item, no_span, span_at
from hneuro.spans.normal import Occurrence, chosen, find_text, folded
from hneuro.spans.tokens import Decode, Range

Tokens = tuple[str, ...]
Join = Callable[[Sequence[str]], str]


@dataclass(frozen=True, kw_only=True)
class RecordedLocator:
    """The answer tokens of a file (`questions.recorded`), by question id and by the text of the response.

    They are token strings of any tokenizer, "▁Naked", "ĠNaked", "##ked" or plain. Their text is found in the response,
    with gaps where it is not there in one piece. `occurrence`: which one counts where it is there in one
    piece several times; pieces with gaps between them are the first that follow each other.
    """

    path: str
    occurrence: Occurrence = "first"
    digest: str = field(init=False)  # of the file: other content, other spans
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not any(tokens for said in self._recorded.values() for tokens in said.values()):
            raise ValueError(f"{self.path} has no answer tokens")
        object.__setattr__(self, "digest", hashlib.sha256(Path(self.path).read_bytes()).hexdigest())

    @cached_property
    def _recorded(self) -> Mapping[str, Mapping[str, Tokens]]:
        """Question id -> text of a response -> its answer tokens, none where the file has none."""
        recordings = read_recordings(self.path).items()
        return {name: {_key(one.text): one.answer_tokens or () for one in said} for name, said in recordings}

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        return tuple(self._span(self._recorded.get(response.question_id), response, decode) for _, response in items)

    def _span(self, recorded: Mapping[str, Tokens] | None, response: Response, decode: Decode) -> AnswerSpan:
        if recorded is None:
            return no_span(response, "the file does not have this question", "recorded")
        tokens = recorded.get(_key(response.text))
        if tokens is None:
            return no_span(response, "the file does not have this response", "recorded")
        if not tokens:
            return no_span(response, "the file names no answer tokens", "recorded")
        places = align(tokens, response.text, self.occurrence)
        if not places:
            return no_span(response, "the recorded tokens are not in the response", "recorded")
        return span_at(response, places, decode, "recorded")


def align(tokens: Sequence[str], text: str, occurrence: Occurrence) -> list[Range]:
    """Where the text of the token strings is in `text`, in order, in as few pieces as need be; else nothing."""
    for join in _joins():
        if whole := find_text(join(tokens).strip(), text):
            return chosen(whole, occurrence)
    folds, places = folded(text)
    for join in _joins():
        if pieces := _in_pieces(tokens, folds, join):
            return [(places[start][0], places[stop - 1][1]) for start, stop in pieces]
    return []


def _in_pieces(tokens: Sequence[str], text: str, join: Join) -> tuple[Range, ...] | None:
    """The longest pieces first, and each at its first place: later places leave less room for the others."""

    @cache
    def wanted(first: int, stop: int) -> str:
        return folded(join(tokens[first:stop]))[0].strip()

    @cache
    def rest(first: int, begin: int) -> tuple[Range, ...] | None:
        """The places of the tokens from `first` on, in the text from `begin` on."""
        if first == len(tokens):
            return ()
        for stop in range(len(tokens), first, -1):
            piece = wanted(first, stop)
            place = text.find(piece, begin)
            after = None if place < 0 else rest(stop, place + len(piece))
            if after is not None:
                return ((place, place + len(piece)), *after) if piece else after
        return None

    return rest(0, 0)


def _joins() -> Iterator[Join]:
    """How the token strings of each kind of tokenizer become text."""
    from tokenizers import decoders

    yield "".join
    sentence_piece = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    for decoder in (decoders.Sequence(sentence_piece), decoders.ByteLevel(), decoders.WordPiece(cleanup=False)):
        yield partial(_decoded, decoder)


def _decoded(decoder: Any, tokens: Sequence[str]) -> str:
    return str(decoder.decode(list(tokens)))


def _key(text: str) -> str:
    return folded(text)[0]
