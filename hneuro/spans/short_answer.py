"""Which generated tokens state the answer.

Tokens are found by character offsets over the ids that the model produced: the text of the first k ids is a prefix of the
text of all, so token k covers what it adds. Nothing is searched in the prompt, re-tokenised or compared token by token.
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
    """The whole response without leading filler and trailing punctuation: for answer-only responses."""

    fillers: tuple[str, ...] = (
        r"(so |well |sure )?[, ]*(the (correct )?answer (is|:)|it (is|was)|that (is|was)|they (are|were)|answer:)\s*:?",
    )
    max_share: float = 1.0  # of the response that an answer may be; below 1 refuses long-winded ones

    def locate(self, question: Question, response: Response, decode: Decode) -> AnswerSpan:
        start, stop = self._characters(response.text)
        tokens = tokens_covering(response.token_ids, decode, start, stop)
        reason = ""
        if start >= stop:
            reason, tokens = "nothing but filler", ()
        elif not tokens:
            reason = "no token covers the answer"
        elif len(tokens) > self.max_share * len(response.token_ids):
            reason, tokens = "the answer is most of a long response", ()
        return AnswerSpan(
            question_id=response.question_id,
            sample=response.sample,
            tokens=tokens,
            text=response.text[start:stop],
            method="short_answer",
            reason=reason,
        )

    def _characters(self, text: str) -> tuple[int, int]:
        start = len(text) - len(text.lstrip())
        for filler in self.fillers:
            if found := re.match(r"\s*" + filler + r"\s*", text, flags=re.IGNORECASE):
                start = max(start, found.end())
        stop = len(text.rstrip().rstrip(".!;,").rstrip())
        return start, max(start, stop)


def tokens_covering(token_ids: Sequence[int], decode: Decode, start: int, stop: int) -> tuple[int, ...]:
    """Positions of the tokens whose characters lie (partly) in [start, stop) of decode(token_ids)."""
    edges = [0]
    for count in range(1, len(token_ids) + 1):
        # An unfinished multi-byte character decodes to U+FFFD until its last token: its characters come with that token.
        edges.append(max(edges[-1], len(decode(token_ids[:count]).rstrip("�"))))
    covered = [n for n in range(len(token_ids)) if edges[n] < stop and edges[n + 1] > start]
    blank = decode(token_ids)
    return tuple(n for n in covered if blank[max(edges[n], start) : min(edges[n + 1], stop)].strip())
