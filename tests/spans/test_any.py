"""Whatever a model says: a span or a reason, and never a crash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.records import Question
from hneuro.spans.base import SpanLocator
from hneuro.spans.rule import RuleLocator
from hneuro.spans.short_answer import LetterLocator, ShortAnswer

PIECES = [
    *"ABx.,()\"'“”:*東",
    *("Paris", "the", "is", "was", "by", "France", "capital", "of", "O'Neill", "which", "1,000", "It", "answer"),
    *("\n\n", "e\u0301", "\u200d", "\ufffd"),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=20).map(" ".join) | st.text(
    st.characters(codec="utf-8"), max_size=30
)
LOCATORS = [
    ShortAnswer(),
    RuleLocator(),
    RuleLocator(extend="alias", occurrence="last"),
    LetterLocator(),
]


@pytest.mark.parametrize("locator", LOCATORS, ids=lambda part: type(part).__name__)
@settings(max_examples=80, deadline=None)
@given(said=TEXTS, asked=TEXTS, gold=st.lists(TEXTS, max_size=3), cut=st.integers(0, 2))
def test_a_span_or_a_reason(
    locator: SpanLocator, said: str, asked: str, gold: list[str], cut: int, bytes_speaker: Any
) -> None:
    whole = bytes_speaker.response(said)
    ids = whole.token_ids[: -cut or None]
    text = bytes_speaker.decode(ids)
    response = replace(whole, token_ids=ids, text=text, logprobs=(), entropies=())
    question = Question(id="q", dataset="d", text=asked, answers=tuple(gold), entity="e", options=("x", "y"))
    (span,) = locator.locate([(question, response)], bytes_speaker.decode)
    assert bool(span.tokens) != bool(span.reason)
    assert list(span.tokens) == sorted(set(span.tokens))
    assert all(0 <= n < len(ids) for n in span.tokens)
    if span.tokens:
        assert span.text.strip()
        assert span.text.split()[0] in text
        assert bytes_speaker.decode([ids[n] for n in span.tokens]).strip()
