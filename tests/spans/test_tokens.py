"""Characters of every token, for every kind of tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.spans.tokens import Decode, token_spans, token_texts, tokens_at

KINDS = ["byte level", "llama 2", "gemma", "word piece", "bytes"]
ANY_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=24)
WORDS = st.lists(
    st.sampled_from(
        ["Paris", "O'Neill", "the", "東京", "🦊", "مصر", "e\u0301", "é", "naïve", "1969", "“x”", ".", "\n", ""]
    ),
    max_size=8,
).map(" ".join)


def strict(ids: Sequence[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


def lenient(ids: Sequence[int]) -> str:
    """As some tokenizers do it: bytes without their character are not shown at all."""
    return bytes(ids).decode("utf-8", errors="ignore")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT | WORDS, ends=st.integers(0, 3))
def test_spans_cover_any_text_in_order(kind: str, text: str, ends: int, speakers: Any) -> None:
    """Without gap, and as decoding every prefix says; also where the text ends in the middle of a character."""
    speaker = speakers[kind]
    ids = speaker.ids(text)[: -ends or None]
    whole, spans = speaker.decode(ids), token_spans(ids, speaker.decode)
    assert len(spans) == len(ids)
    assert "".join(token_texts(ids, speaker.decode)) == whole
    covered = 0
    for n, (start, stop) in enumerate(spans):
        assert 0 <= start <= covered, "a character that no token stands for"
        assert stop >= start
        covered = max(covered, stop)
        prefix = speaker.decode(ids[: n + 1])
        if "\ufffd" not in whole and not prefix.endswith("\ufffd") and kind != "bytes":
            assert prefix.rstrip(" ") == whole[:covered].rstrip(" ")  # of two blanks one may be hidden
    assert covered == len(whole)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(text=ANY_TEXT | WORDS, where=st.tuples(st.integers(0, 23), st.integers(1, 12)))
def test_the_tokens_of_an_answer_hold_it_and_no_other_token_touches_it(
    kind: str, text: str, where: tuple[int, int], speakers: Any
) -> None:
    speaker = speakers[kind]
    ids = speaker.ids(text)
    whole = speaker.decode(ids)
    start = min(where[0], max(0, len(whole) - 1))
    stop = min(start + where[1], len(whole))
    answer = whole[start:stop]
    if answer != answer.strip() or not answer or "\ufffd" in whole:
        return
    tokens = tokens_at([(start, stop)], ids, speaker.decode)
    assert answer in speaker.decode([ids[n] for n in tokens])
    assert len(speaker.decode(ids[: tokens[0]]).rstrip("\ufffd")) <= start
    assert speaker.decode(ids[: tokens[-1] + 1])[:stop] == whole[:stop]
    assert not speaker.decode(ids[: tokens[-1]]).startswith(whole[:stop])
    if kind != "bytes":  # which shows no character before its last byte
        assert len(speaker.decode(ids[: tokens[0] + 1])) > start


@pytest.mark.parametrize("decode", [strict, lenient])
def test_every_byte_of_a_character_stands_for_it(decode: Decode) -> None:
    assert token_spans("a東b".encode(), decode) == [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)]
    assert token_spans("🦊!".encode(), decode) == [(0, 1)] * 4 + [(1, 2)]
    assert token_texts("é!".encode(), decode) == ["é", "", "!"]


def test_a_broken_character_is_not_its_neighbour_s() -> None:
    """A response that ends, or breaks off, in the middle of a character."""
    assert token_spans(b"\xe6 Pa", strict) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert token_spans(b"ab\xe6\x9d", strict) == [(0, 1), (1, 2), (2, 3), (2, 3)]
    assert token_spans(b"\xe6\x9dP", strict) == [(0, 1), (0, 1), (1, 2)]
    assert token_spans(b"ab\xe6\x9d", lenient) == [(0, 1), (1, 2), (2, 2), (2, 2)]
    assert token_spans("x\ufffdy".encode(), strict) == [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)]


def test_a_token_that_ends_in_the_middle_of_a_character_stands_for_both() -> None:
    pieces = [b"I \xe2\x80", b"\x9cam", b"\xe2\x80\x9d"]

    def decode(ids: Sequence[int]) -> str:
        return b"".join(pieces[n] for n in ids).decode("utf-8", errors="replace")

    assert decode([0, 1, 2]) == "I “am”"
    assert token_spans([0, 1, 2], decode) == [(0, 3), (2, 5), (5, 6)]
    assert tokens_at([(3, 5)], [0, 1, 2], decode) == (1,)
    assert tokens_at([(2, 3)], [0, 1, 2], decode) == (0, 1)


def test_a_decoder_that_looks_far_back_is_asked_for_every_prefix() -> None:
    def decode(ids: Sequence[int]) -> str:
        """Capitals once a full stop has been said, wherever that was."""
        said = "".join(chr(n) for n in ids)
        head, dot, tail = said.partition(".")
        return head + dot + tail.upper()

    ids = [ord(c) for c in "ab.cd"]
    assert decode(ids) == "ab.CD"
    assert token_spans(ids, decode) == [(n, n + 1) for n in range(5)]


def test_a_step_decodes_a_few_tokens_only(bytes_speaker: Any) -> None:
    """Decoding every prefix of a long response takes the square of its length."""
    lengths: list[int] = []

    def counting(ids: Sequence[int]) -> str:
        lengths.append(len(ids))
        return str(bytes_speaker.decode(ids))

    ids = bytes_speaker.ids("The answer is Łódź. " * 50)
    token_spans(ids, counting)
    assert len(ids) > 300
    assert sorted(lengths)[-2] < 12  # the whole text once, to compare
