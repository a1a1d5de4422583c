"""Token ids from texts: right with and without the blanks that tokenizers hide, or not given at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from hneuro.models.language_model import LanguageModel
from hneuro.responses.sampler import behind_prompt, decodes_to, token_ids_of

CORPUS = [
    "Who wrote Hamlet? William Shakespeare, of Stratford.",
    "Eugene O'Neill wrote it in 1930.",
    "São Paulo\n\n",
] * 9
TEXTS = (
    "William Shakespeare",
    "Eugene O'Neill.",
    "São Paulo",
    "in  1930",
    "U.S. Attorney \n\n",
    "\nWilliam",
    "東京",
    "😀",
    "1930",
    "",
)


def trained(backend: Tokenizer, trainer: Any, **options: Any) -> PreTrainedTokenizerFast:
    backend.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="<end>", **options)


def sentencepiece(prefix: bool) -> PreTrainedTokenizerFast:
    """Words begin with a blank; with `prefix` the first one does, too, and hides it (Llama 2), or not (Gemma)."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    replaced = normalizers.Replace(" ", "▁")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replaced]) if prefix else replaced
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("(?=▁)"), "isolated")
    shown = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*shown, decoders.Strip(" ", 1, 0)] if prefix else shown)
    specials = ["<unk>", "<end>", *(f"<0x{n:02X}>" for n in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=specials, show_progress=False)
    backend.train_from_iterator(CORPUS, trainer)
    # The trainer makes bytes special tokens, which decoding would leave out: they are ordinary ones.
    merges = [tuple(merge) for merge in json.loads(backend.to_str())["model"]["merges"]]
    backend.model = models.BPE(backend.get_vocab(), merges, unk_token="<unk>", byte_fallback=True)
    plain = Tokenizer(backend.model)
    plain.normalizer, plain.pre_tokenizer, plain.decoder = backend.normalizer, backend.pre_tokenizer, backend.decoder
    return PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="<unk>", eos_token="<end>")


def byte_level() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    return trained(
        backend,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=["<unk>", "<end>"], initial_alphabet=alphabet, show_progress=False
        ),
    )


TOKENIZERS = {
    "SentencePiece, blank before the first word": lambda: sentencepiece(True),
    "SentencePiece, no blank": lambda: sentencepiece(False),
    "byte-level BPE": byte_level,
    "bytes": ByT5Tokenizer,
}


def model_with(tokenizer: Any, language_model: LanguageModel) -> LanguageModel:
    model = LanguageModel(language_model.source, language_model.spec, completion=False)
    model.__dict__["tokenizer"] = tokenizer
    return model


@pytest.fixture(params=TOKENIZERS, scope="module")
def model(request: pytest.FixtureRequest, language_model: LanguageModel) -> LanguageModel:
    return model_with(TOKENIZERS[request.param](), language_model)


def prompt(model: LanguageModel) -> tuple[int, ...]:
    return tuple(model.tokenizer("Who wrote it?", add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("blank", ["", " "])
def test_what_a_model_said_is_found_again(model: LanguageModel, blank: str) -> None:
    """As the tokenizer writes it; recorded as it stood behind the prompt, or on its own.

    On its own, a blank that shows although the tokenizer hides one would be a second one, which no model says.
    """
    for text in (blank + text for text in TEXTS):
        said = tuple(model.tokenizer(text, add_special_tokens=False)["input_ids"])
        behind, alone = behind_prompt(model, prompt(model), said), model.text_of(said)
        for recorded in (behind, alone) if behind == alone or not text.startswith(" ") else (behind,):
            assert token_ids_of(model, prompt(model), recorded) == said
            assert decodes_to(model, prompt(model), said, recorded)
        assert not decodes_to(model, prompt(model), said, text + "x")


def test_a_hidden_blank_is_not_there_twice(language_model: LanguageModel) -> None:
    """Behind a prompt " William" is the word alone, where the tokenizer writes its blank itself."""
    found = {}
    for name, make in TOKENIZERS.items():
        model = model_with(make(), language_model)
        ids = token_ids_of(model, prompt(model), " William")
        found[name] = (model.text_of(ids or ()), len(ids or ()))
        assert behind_prompt(model, prompt(model), ids or ()) == " William"
    assert found["SentencePiece, blank before the first word"][0] == "William"
    assert {found[name][0] for name in list(TOKENIZERS)[1:]} == {" William"}


def test_a_text_that_looks_like_a_special_token_is_not_taken_for_one(language_model: LanguageModel) -> None:
    assert token_ids_of(language_model, (1, 3), "the <end> of it") is None
