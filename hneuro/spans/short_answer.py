"""Which generated tokens state the answer.

Tokens are found by character offsets over the ids that the model produced: each token stands for the characters that it
adds to the decoded text. Nothing is searched in the prompt, re-tokenised or compared token by token.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hneuro.records import AnswerSpan, Question, Response

Decode = Callable[[Sequence[int]], str]


@runtime_checkable
class SpanLocator(Protocol):
    """The part behind `span`."""

    def locate(self, question: Question, response: Response, decode: Decode) -> AnswerSpan:
        """The span, or an empty one with its reason."""


@dataclass(frozen=True, kw_only=True)
class ShortAnswer:
    """The whole response without leading filler, quotes and closing punctuation: for answer-only responses."""

    fillers: tuple[str, ...] = (
        r"((so|well|sure)[,.!]?\s+)?"
        r"((the (correct )?answer (is|was)|(it|that) (is|was)|(they|those) (are|were))\b|(the )?(correct )?answer\s*:)"
        r"\s*:?",
    )
    max_share: float = 1.0  # of the response that an answer may be; below 1 refuses long-winded ones

    def locate(self, question: Question, response: Response, decode: Decode) -> AnswerSpan:
        start, stop = self._characters(response.text)
        spans = token_spans(response.token_ids, decode)
        tokens = tuple(n for n, (a, b) in enumerate(spans) if max(a, start) < min(b, stop))
        reason = ""
        if start >= stop:
            reason = "nothing but filler"
        elif decode(response.token_ids) != response.text or spans[-1][1] != len(response.text):
            reason = "the tokens do not add up to the text"
        elif len(tokens) > self.max_share * len(response.token_ids):
            reason = "the answer is most of a long response"
        return AnswerSpan(
            question_id=response.question_id,
            sample=response.sample,
            tokens=() if reason else tokens,
            text=response.text[start:stop],
            method="short_answer",
            reason=reason,
        )

    def _characters(self, text: str) -> tuple[int, int]:
        start = len(text) - len(text.lstrip(OPENING))
        for filler in self.fillers:
            if found := re.match(filler + rf"[{re.escape(OPENING)}]*", text[start:], flags=re.IGNORECASE):
                start += found.end()
        return start, max(start, len(text.rstrip(CLOSING)))


OPENING = " \t\r\n\"'“‘*_`"
CLOSING = " \t\r\n\"'”’*_`.!;,"


def token_texts(token_ids: Sequence[int], decode: Decode) -> list[str]:
    """What each token adds to the text: joined they are decode(token_ids). A shared character is its first token's."""
    text, shown, pieces = decode(token_ids), 0, []
    for _, stop in token_spans(token_ids, decode):
        pieces.append(text[shown:stop])
        shown = stop
    return pieces


def token_spans(token_ids: Sequence[int], decode: Decode) -> list[tuple[int, int]]:
    """[start, stop) of each token in decode(token_ids). Tokens that share a multi-byte character all stand for it.

    Each step decodes a few tokens only, not the whole text: the tokens of the last step are the context in which the
    new ones keep their leading blank.
    """
    spans: list[tuple[int, int]] = []
    context, length = 0, 0
    for count in range(1, len(token_ids) + 1):
        begun = len(spans)
        text = decode(token_ids[context:count])
        if text.endswith("\ufffd") and count < len(token_ids):
            continue  # an unfinished character: its other tokens follow
        added = len(text) - len(decode(token_ids[context:begun]))
        spans += [(length, length + added)] * (count - begun)
        if added:
            context, length = begun, length + added
    return spans
