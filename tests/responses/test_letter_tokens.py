"""A letter is one token behind the prompt, with or without its blank, or there is a clear refusal."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hneuro.models.language_model import LanguageModel
from hneuro.models.spec import ModelSpec
from hneuro.records import UserError
from hneuro.responses.letter_tokens import letter_ids

BLANK = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}<assistant> {{ m['content'] }}{% else %}"
)
BLANK += "<user>{{ m['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


def speaking(spec: ModelSpec, tokenizer: Any, *, base: bool = False, **prompting: Any) -> LanguageModel:
    """A model with this tokenizer, whose weights nobody needs."""
    changed = replace(spec, prompting=replace(spec.prompting, **prompting))
    model = LanguageModel(spec.chat, changed, completion=base)
    model.__dict__["tokenizer"] = tokenizer
    return model


def with_tokens(tokenizer: Any, *added: str, template: str | None = None) -> Any:
    changed = copy.deepcopy(tokenizer)
    changed.add_tokens(list(added))
    changed.chat_template = template or changed.chat_template
    return changed


def words(template: str) -> PreTrainedTokenizerFast:
    """Words that carry the blank before them, as the sentencepiece tokenizers of Llama 2 and Mistral have them."""
    known = ["<unk>", "▁?", "▁[INST]", "▁[/INST]", "▁A", "▁B", "▁C", "A", "B", "C", "?"]
    backend = Tokenizer(models.WordLevel({word: n for n, word in enumerate(known)}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", chat_template=template)


def test_behind_a_mark_of_the_turn_a_letter_has_no_blank(language_model: LanguageModel) -> None:
    found = letter_ids(language_model, 4)
    assert language_model.tokenizer.convert_ids_to_tokens(list(found)) == ["A", "B", "C", "D"]


def test_where_the_template_writes_a_blank_it_belongs_to_the_letter(spec: ModelSpec, tokenizer: Any) -> None:
    changed = with_tokens(tokenizer, " A", " B", template=BLANK)
    assert letter_ids(speaking(spec, changed), 2) == tuple(changed.convert_tokens_to_ids([" A", " B"]))
    assert letter_ids(speaking(spec, with_tokens(tokenizer, " A", " B")), 2) == tuple(
        tokenizer.convert_tokens_to_ids(["A", "B"])
    )


def test_letters_of_a_sentencepiece_tokenizer_carry_their_blank(spec: ModelSpec) -> None:
    template = "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %}"
    model = speaking(spec, words(template + " {{ m['content'] }}{% endif %}{% endfor %}"))
    assert model.tokenizer.convert_ids_to_tokens(list(letter_ids(model, 3))) == ["▁A", "▁B", "▁C"]


def test_a_template_that_shows_a_thought_first_says_nothing_about_blanks(spec: ModelSpec, tokenizer: Any) -> None:
    """Qwen 3 renders an empty thought into a finished turn, but leaves thinking to the model in an unfinished one."""
    thinking = BLANK.replace("<assistant> {{", "<assistant>[thought] {{")
    found = letter_ids(speaking(spec, with_tokens(tokenizer, " A", " B", template=thinking)), 2)
    assert found == tuple(tokenizer.convert_tokens_to_ids(["A", "B"]))


def test_the_template_is_read_with_its_options(spec: ModelSpec, tokenizer: Any) -> None:
    template = BLANK.replace("<assistant> {{", "<assistant>{{ ' ' if blank is defined and blank else '' }}{{")
    changed = with_tokens(tokenizer, " A", " B", template=template)
    assert letter_ids(speaking(spec, changed), 2) == tuple(changed.convert_tokens_to_ids(["A", "B"]))
    model = speaking(spec, changed, template_options={"blank": True})
    assert letter_ids(model, 2) == tuple(changed.convert_tokens_to_ids([" A", " B"]))


def test_a_completion_writes_a_blank_unless_its_prompt_ends_in_one(spec: ModelSpec, tokenizer: Any) -> None:
    changed = with_tokens(tokenizer, " A", " B")
    assert letter_ids(speaking(spec, changed, base=True), 2) == tuple(changed.convert_tokens_to_ids([" A", " B"]))
    behind_a_line = speaking(spec, changed, base=True, completion="{question}\nAnswer:\n")
    assert letter_ids(behind_a_line, 2) == tuple(tokenizer.convert_tokens_to_ids(["A", "B"]))


def test_a_letter_of_two_tokens_is_refused(spec: ModelSpec, tokenizer: Any) -> None:
    """The tiny tokenizer has no " B": its first token would be a blank, whatever the answer."""
    with pytest.raises(UserError, match=r"does not write ' A' as one token behind '\?\\nAnswer:'.* another completion"):
        letter_ids(speaking(spec, tokenizer, base=True), 2)
    with pytest.raises(UserError, match=r"' B' as one token .* another chat template, or another model, is needed"):
        letter_ids(speaking(spec, with_tokens(tokenizer, " A", template=BLANK)), 2)


def test_a_letter_that_changes_the_prompt_s_own_tokens_is_refused(spec: ModelSpec, tokenizer: Any) -> None:
    """A trailing blank goes into the token of the letter, so the prompt that ends in it is never seen before one."""
    changed = with_tokens(tokenizer, " A", " B")
    with pytest.raises(UserError, match="does not write 'A' as one token behind"):
        letter_ids(speaking(spec, changed, base=True, completion="{question}\nAnswer: "), 2)


class Merging:
    """A tokenizer that writes the end of the prompt in another way when something follows."""

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [7, 8] if text.endswith(":") else [7, 9, 65]}

    def decode(self, token_ids: list[int], **_: bool) -> str:
        return "".join(map(chr, token_ids))


def test_a_prompt_that_is_written_in_another_way_before_a_letter_is_refused(spec: ModelSpec) -> None:
    with pytest.raises(UserError, match="does not write ' A' as one token behind"):
        letter_ids(speaking(spec, Merging(), base=True), 1)


def test_a_letter_that_the_tokenizer_does_not_know_is_refused(spec: ModelSpec) -> None:
    template = "{% for m in messages %} {{ m['content'] }}{% endfor %}"
    with pytest.raises(UserError, match="' D' as one token"):
        letter_ids(speaking(spec, words(template)), 4)


def test_a_model_without_chat_template_is_refused(spec: ModelSpec, tokenizer: Any) -> None:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = None
    with pytest.raises(UserError, match="no chat template"):
        letter_ids(speaking(spec, changed), 2)
