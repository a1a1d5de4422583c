"""The tokens that state the answer, found by offsets over the generated ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.short_answer import Decode, ShortAnswer, token_spans, token_texts


@pytest.fixture(scope="module")
def decode(tokenizer: Any) -> Decode:
    def text_of(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    return text_of


def response(token_ids: Sequence[int], text: str) -> Response:
    nothing = (0.0,) * len(token_ids)
    return Response(
        question_id="q", sample=4, prompt_ids=(1, 2, 3), token_ids=tuple(token_ids), text=text, logprobs=nothing,
        entropies=nothing,
    )  # fmt: skip


def located(said: str, tokenizer: Any, decode: Decode, **options: Any) -> tuple[AnswerSpan, str]:
    """The span in a response of the model that said `said` and ended, and the text of its tokens."""
    ids = [*tokenizer(said, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    question = Question(id="q", dataset="d", text="Is it Paris?", answers=("Paris",), entity="e")
    span = ShortAnswer(**options).locate(question, response(ids, decode(ids)), decode)
    assert (span.question_id, span.sample, span.method) == ("q", 4, "short_answer")
    return span, decode([ids[n] for n in span.tokens])


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Paris", "Paris"),
        (" Paris.", "Paris"),
        ("The answer is William Shakespeare.", "William Shakespeare"),
        ("the correct answer is: Paris", "Paris"),
        ("Answer: Paris", "Paris"),
        ("The answer: Paris", "Paris"),
        ("Sure, it is Paris!", "Paris"),
        ("Well, they were the Beatles;\n", "the Beatles"),
        ("It was Paris", "Paris"),
        ("It wasn't me", "It wasn't me"),
        ("That Island", "That Island"),
        ("“Hamlet”", "Hamlet"),
        ("The answer is **Hamlet**.", "Hamlet"),
        ("\n\nParis\n\n\n", "Paris"),
        ("1969", "1969"),
        ("Eugene O'Neill", "Eugene O'Neill"),  # trap 6: not one published span holds an apostrophe
        ("d'Artagnan's", "d'Artagnan's"),
        ("Beyoncé Knowles", "Beyoncé Knowles"),
        ("Łódź.", "Łódź"),
        ("東京", "東京"),
        ("🦊 and 🐻", "🦊 and 🐻"),
    ],
)
def test_decoded_span_is_the_answer(said: str, answer: str, tokenizer: Any, decode: Decode) -> None:
    """Trap 9 too: the byte-level tokenizer splits every character that is not ASCII."""
    span, text = located(said, tokenizer, decode)
    assert span.text == answer
    assert span.reason == ""
    assert text.strip(" \n.;!*”“") == answer


def test_every_token_of_a_split_character_belongs_to_the_answer(tokenizer: Any, decode: Decode) -> None:
    """Trap 9: alone, these tokens decode to U+FFFD, and would never match the answer's text."""
    ids = tokenizer("é", add_special_tokens=False)["input_ids"]
    assert [decode([n]) for n in ids] == ["\ufffd", "\ufffd"]
    assert located("é", tokenizer, decode)[0].tokens == (0, 1)
    assert token_spans(ids, decode) == [(0, 1), (0, 1)]
    assert token_texts(ids, decode) == ["é", ""]


def test_an_answer_quoted_in_the_question_is_found_in_the_response_only(tokenizer: Any, decode: Decode) -> None:
    """Peers searched from token 0, or the first token that looks the same: here positions count from the response."""
    span, _ = located("It is Paris", tokenizer, decode)
    ids = tokenizer("It is Paris", add_special_tokens=False)["input_ids"]
    assert span.tokens[-1] == len(ids) - 1
    assert decode(ids[: span.tokens[0]]) == "It is "  # this tokenizer has the blank as a token


def test_the_end_token_and_blanks_are_not_in_the_span(tokenizer: Any, decode: Decode) -> None:
    """Trap 17."""
    ids = [*tokenizer("\n Paris\n\n", add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    span, _ = located("\n Paris\n\n", tokenizer, decode)
    assert tokenizer.eos_token_id not in [ids[n] for n in span.tokens]
    assert all(decode([ids[n]]).strip() for n in span.tokens)


@pytest.mark.parametrize("said", ["", "   ", "The answer is", "It was.", "...", "\n"])
def test_a_response_without_answer_has_no_span_but_a_reason(said: str, tokenizer: Any, decode: Decode) -> None:
    span, _ = located(said, tokenizer, decode)
    assert span.tokens == ()
    assert span.reason == "nothing but filler"


def test_a_long_winded_response_is_refused_where_asked(tokenizer: Any, decode: Decode) -> None:
    span, _ = located("Paris is a city and more", tokenizer, decode, max_share=0.5)
    assert (span.tokens, span.reason) == ((), "the answer is most of a long response")
    assert located("The answer is without any explanation Paris", tokenizer, decode, max_share=0.9)[0].tokens


def test_a_text_that_is_not_of_its_tokens_is_not_guessed_at(tokenizer: Any, decode: Decode) -> None:
    """Trap 8: a trimmed or re-tokenised text has other offsets."""
    ids = tokenizer("  Paris", add_special_tokens=False)["input_ids"]
    question = Question(id="q", dataset="d", text="Where?", answers=("Paris",), entity="e")
    span = ShortAnswer().locate(question, response(ids, "Paris"), decode)
    assert (span.tokens, span.reason) == ((), "the tokens do not add up to the text")


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_spans_tile_any_text(text: str, tokenizer: Any, decode: Decode) -> None:
    """In order, without gap, to the end; and equal to decoding every prefix."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    whole, spans = decode(ids), token_spans(ids, decode)
    assert len(spans) == len(ids)
    assert (spans[-1][1] if spans else 0) == len(whole)
    assert "".join(token_texts(ids, decode)) == whole
    for n, (start, stop) in enumerate(spans):
        before = spans[n - 1] if n else (0, 0)
        assert start == before[1] or (start, stop) == before
        if "\ufffd" not in text and not decode(ids[: n + 1]).endswith("\ufffd"):
            assert decode(ids[: n + 1]) == whole[:stop]


def test_leading_blanks_of_words_that_only_context_shows(decode: Decode) -> None:
    """SentencePiece decoders drop the blank of the first word: a token decoded alone would be one character short."""
    words = ["<end>", "▁It", "▁is", "▁Pa", "ris"]
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<end>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>")

    def text_of(ids: Sequence[int]) -> str:
        return str(tokenizer.decode(list(ids), skip_special_tokens=True))

    assert text_of([1, 2, 3, 4]) == "It is Paris"
    assert token_spans([1, 2, 3, 4, 0], text_of) == [(0, 2), (2, 5), (5, 8), (8, 11), (11, 11)]
    assert token_spans([1, 0, 2], text_of) == [(0, 2), (2, 2), (2, 5)]


def test_a_step_decodes_a_few_tokens_only(tokenizer: Any, decode: Decode) -> None:
    """Decoding every prefix of a long response takes the square of its length."""
    lengths: list[int] = []

    def counting(ids: Sequence[int]) -> str:
        lengths.append(len(ids))
        return decode(ids)

    ids = tokenizer("The answer is Łódź. " * 50, add_special_tokens=False)["input_ids"]
    token_spans(ids, counting)
    assert len(ids) > 300
    assert max(lengths) < 10
