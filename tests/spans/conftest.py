"""Tiny real tokenizers of every kind, and responses of models that speak with them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.base import SpanLocator

CORPUS = [
    "The answer is William Shakespeare, who wrote Hamlet. It is Paris, the capital of France. New York City",
    "Eugene O'Neill and O’Neill, d'Artagnan's. 1,000 miles in 1969 (the year). “Beyoncé Knowles”, Łódź, naïve",
    "東京 は 日本 の 首都 です。 القاهرة عاصمة مصر. Где Москва? Αθήνα 🦊 🐻",
]


@dataclass(frozen=True)
class Speaker:
    """A tokenizer and the two calls that matter: ids of a text, and the text of ids without special tokens."""

    tokenizer: Any = field(repr=False)

    def ids(self, said: str) -> tuple[int, ...]:
        """As a model would have generated them: no special tokens but the end of the turn."""
        return (*self.tokenizer(said, add_special_tokens=False)["input_ids"], self.tokenizer.eos_token_id)

    def decode(self, ids: Sequence[int]) -> str:
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return str(self.tokenizer.decode(list(ids), **options))

    def response(self, said: str) -> Response:
        ids = self.ids(said)
        return response(ids, self.decode(ids))


def response(ids: Sequence[int], text: str) -> Response:
    nothing = (0.0,) * len(ids)
    return Response(
        question_id="q", sample=4, prompt_ids=(1, 2, 3), token_ids=tuple(ids), text=text, logprobs=nothing,
        entropies=nothing,
    )  # fmt: skip


def sentence_piece(leading_blank: bool) -> Any:
    """BPE on "▁" with single bytes for unknown characters: like Llama 2 (which hides a leading blank) and Gemma."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    special = ["<unk>", "<end>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, show_progress=False)
    backend.train_from_iterator([text.replace("東京", "") for text in CORPUS], trainer)
    plain = json.loads(backend.to_str())
    for byte in range(256):
        plain["model"]["vocab"][f"<0x{byte:02X}>"] = len(plain["model"]["vocab"])
    backend = Tokenizer.from_str(json.dumps(plain))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if leading_blank:
        backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        steps.append(decoders.Strip(" ", 1, 0))
    backend.decoder = decoders.Sequence(steps)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<end>")


def word_piece() -> Any:
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=False)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[UNK]", "[SEP]"], show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]", eos_token="[SEP]")


KINDS: dict[str, Callable[[], Any]] = {
    "llama 2": lambda: sentence_piece(leading_blank=True),
    "gemma": lambda: sentence_piece(leading_blank=False),
    "word piece": word_piece,
    "bytes": lambda: ByT5Tokenizer(extra_ids=0),
}


@pytest.fixture(scope="session")
def speakers(tokenizer: Any) -> dict[str, Speaker]:
    return {"byte level": Speaker(tokenizer), **{name: Speaker(make()) for name, make in KINDS.items()}}


@pytest.fixture(params=["byte level", *KINDS])
def speaker(request: pytest.FixtureRequest, speakers: dict[str, Speaker]) -> Speaker:
    return speakers[request.param]


@pytest.fixture(scope="session")
def bytes_speaker(speakers: dict[str, Speaker]) -> Speaker:
    """The byte-level tokenizer, which can say any text."""
    return speakers["byte level"]


@dataclass(frozen=True)
class Asking:
    """One question to a locator."""

    speaker: Speaker

    def __call__(
        self, locator: SpanLocator, said: str, *answers: str, text: str = "?", options: tuple[str, ...] = ()
    ) -> AnswerSpan:
        question = Question(id="q", dataset="d", text=text, answers=answers, entity="e", options=options)
        (span,) = locator.locate([(question, self.speaker.response(said))], self.speaker.decode)
        assert (span.question_id, span.sample) == ("q", 4)
        assert bool(span.tokens) != bool(span.reason)
        assert sorted(set(span.tokens)) == list(span.tokens)
        return span

    def shown(self, span: AnswerSpan, said: str) -> str:
        """The text of the span's tokens."""
        ids = self.speaker.ids(said)
        return self.speaker.decode([ids[n] for n in span.tokens])


@pytest.fixture
def ask(bytes_speaker: Speaker) -> Asking:
    return Asking(bytes_speaker)


@pytest.fixture
def ask_any(speaker: Speaker) -> Asking:
    """With every kind of tokenizer in turn."""
    return Asking(speaker)


@pytest.fixture
def make_response() -> Callable[[Sequence[int], str], Response]:
    return response
