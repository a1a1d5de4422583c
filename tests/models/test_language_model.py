"""The model under its prompting style."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from hneuro.models.language_model import LanguageModel, chat_model
from hneuro.models.load import load_tokenizer
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec


def test_identified_without_being_loaded(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hneuro.models.load.load", lambda *_: pytest.fail("loaded"))
    chat = LanguageModel(spec.chat, spec, completion=False)
    base = LanguageModel(spec.chat, spec, completion=True)
    bf16 = LanguageModel(spec.chat, replace(spec, dtype="bfloat16"), completion=False)
    assert chat.identity == LanguageModel(spec.chat, spec, completion=False).identity
    assert chat.identity != base.identity
    assert chat.identity != bf16.identity


def test_the_model_of_the_run_before_is_used_again_where_it_is_the_same(
    spec: ModelSpec, tiny_checkpoint: Path, tmp_path: Path
) -> None:
    """A sweep in one process loads a model once; a checkpoint that has been written anew is another one."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_checkpoint, folder)
    source = HubCheckpoint(path=str(folder))
    moved = replace(spec, chat=source)
    first = chat_model(source, moved)
    assert first.identity
    assert chat_model(HubCheckpoint(path=str(folder)), replace(moved)) is first
    assert chat_model(source, replace(moved, dtype="bfloat16")) is not first
    again = chat_model(source, moved)
    assert again.identity
    file = folder / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if name.endswith("down_proj.weight"))
    weights[name] = weights[name] * 2
    save_file(weights, file, metadata={"format": "pt"})
    assert chat_model(source, moved) is not again


def test_text_keeps_every_blank_and_no_special_token(spec: ModelSpec, tmp_path: Path) -> None:
    """A text that the tokenizer cleans up has other offsets than its tokens."""
    words = ["<end>", "Yes", ",", "is", "n't", "."]
    backend = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="<end>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<end>", clean_up_tokenization_spaces=True)
    assert tokenizer.decode([1, 2, 3, 4, 5]) == "Yes, isn't."
    tokenizer.save_pretrained(tmp_path)
    model = LanguageModel(HubCheckpoint(path=str(tmp_path)), spec, completion=False)
    assert model.text_of([1, 2, 3, 4, 5, 0]) == "Yes , is n't ."


def test_marks_of_a_turn_are_special_though_they_have_no_role(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Llama 3 lists its header marks among the added tokens only."""
    tokenizer = load_tokenizer(HubCheckpoint(path=str(tiny_checkpoint)))
    tokenizer.add_tokens([AddedToken("<header>", special=True), AddedToken("word", special=False)])
    tokenizer.save_pretrained(tmp_path)
    source = HubCheckpoint(path=str(tmp_path))
    model = LanguageModel(source, ModelSpec(name="tiny", chat=source), completion=False)
    mark, word = model.tokenizer.convert_tokens_to_ids(["<header>", "word"])
    assert mark not in model.tokenizer.all_special_ids
    assert {0, 1, 2, 3, 4, mark} <= model.special_ids
    assert word not in model.special_ids
