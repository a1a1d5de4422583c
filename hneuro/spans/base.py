"""What every span locator gives, and how characters of a response become an answer span."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.tokens import Decode, Range, tokens_at

Item = tuple[Question, Response]


@runtime_checkable
class SpanLocator(Protocol):
    """The part behind `span`."""

    @property
    def letters(self) -> bool:
        """Whether it finds the letters of options, and those alone."""

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        """The span of each response, in order; an empty one with its reason where it cannot say, never a guess."""


def span_at(response: Response, ranges: Sequence[Range], decode: Decode, method: str) -> AnswerSpan:
    """The tokens that stand for these characters of the response; its text is that of the characters alone."""
    answer = response.token_ids[response.thought :]
    if decode(answer) != response.text:
        return no_span(response, "the tokens do not add up to the text", method)
    text = " ".join(response.text[start:stop] for start, stop in ranges)
    tokens = tokens_at(ranges, answer, decode)
    assert tokens, "a range without characters"
    return _span(response, tuple(response.thought + n for n in tokens), text, method)


def no_span(response: Response, reason: str, method: str) -> AnswerSpan:
    return _span(response, (), "", method, reason)


def _span(response: Response, tokens: tuple[int, ...], text: str, method: str, reason: str = "") -> AnswerSpan:
    return AnswerSpan(
        question_id=response.question_id,
        sample=response.sample,
        tokens=tokens,
        text=text,
        method=method,
        reason=reason,
    )
