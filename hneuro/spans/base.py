"""What every span locator gives, how characters of a response become an answer span, and what of them is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from hneuro.records import AnswerSpan, LabelledResponse, Question, Response
from hneuro.result_records import FunnelStep
from hneuro.significance import unequal_shares
from hneuro.spans.tokens import Decode, Range, tokens_at

Item = tuple[Question, Response]
NONE_STATED = "names no answer of the kind"  # a reason of a missing span that is not a failure to find it
KINDS = {True: "hallucinated", False: "faithful"}
LEVEL = 0.05  # of the test that both kinds are lost equally often


@runtime_checkable
class SpanLocator(Protocol):
    """The part that `span` names."""

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


def loss_step(labelled: Sequence[LabelledResponse], spans: Sequence[AnswerSpan], dataset: str) -> FunnelStep:
    """The funnel's step of spans in the order of `labelled`: losses by reason and kind, and a note if they differ."""
    pairs = list(zip(labelled, spans, strict=True))
    assert all((r.question_id, r.sample) == (s.question_id, s.sample) for r, s in pairs)
    lost = Counter(f"{s.reason} ({KINDS[r.hallucinated]})" for r, s in pairs if not s.tokens)
    return FunnelStep(
        stage="spans",
        dataset=dataset,
        unit="responses",
        entered=len(pairs),
        left=sum(bool(s.tokens) for s in spans),
        lost=dict(lost),
        note=_note(pairs),
    )


def _note(pairs: Sequence[tuple[LabelledResponse, AnswerSpan]]) -> str:
    asked = Counter(r.hallucinated for r, _ in pairs)
    lost = Counter(r.hallucinated for r, s in pairs if not s.tokens)
    p = unequal_shares((lost[True], lost[False]), (asked[True], asked[False]))
    if p >= LEVEL:
        return ""
    more = max(KINDS, key=lambda kind: lost[kind] / asked[kind])
    return (
        f"{KINDS[more]} answers are lost more often than {KINDS[not more]} ones: {lost[more]:,} of {asked[more]:,} "
        f"against {lost[not more]:,} of {asked[not more]:,} (Fisher's exact test, p = {p:.2g})"
    )
