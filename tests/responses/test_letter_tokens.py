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
from hneuro.responses.letters import letter_ids

BLANK = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %}<assistant> {{ m['content'] }}{% else %}"
)
BLANK += "<user>{{ m['content'] }}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
# Qwen 3 renders an empty thought into a finished turn, but leaves thinking to the model in an unfinished one.
THOUGHT = BLANK.replace("<assistant> {{", "<assistant>[thought] {{")
OPTION = BLANK.replace("<assistant> {{", "<assistant>{{ ' ' if blank is defined and blank else '' }}{{")
INST = "{% for m in messages %}{% if m['role'] == 'user' %}[INST] {{ m['content'] }} [/INST]{% else %}"
INST += " {{ m['content'] }}{% endif %}{% endfor %}"
BARE, BLANKS = ["A", "B"], [" A", " B"]


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


@pytest.mark.parametrize(
    ("template", "said", "expected"),
    [
        (None, {}, BARE),
        (BLANK, {}, BLANKS),
        (THOUGHT, {}, BARE),
        (OPTION, {}, BARE),
        (OPTION, {"template_options": {"blank": True}}, BLANKS),
        (None, {"base": True}, BLANKS),
        (None, {"base": True, "completion": "{question}\nAnswer:\n"}, BARE),
    ],
)
def test_a_letter_has_a_blank_where_the_prompt_is_followed_by_one(
    template: str | None, said: dict[str, Any], expected: list[str], spec: ModelSpec, tokenizer: Any
) -> None:
    changed = with_tokens(tokenizer, *BLANKS, template=template)
    assert letter_ids(speaking(spec, changed, **said), 2) == tuple(changed.convert_tokens_to_ids(expected))


def test_letters_of_a_sentencepiece_tokenizer_carry_their_blank(spec: ModelSpec) -> None:
    model = speaking(spec, words(INST))
    assert model.tokenizer.convert_ids_to_tokens(list(letter_ids(model, 3))) == ["▁A", "▁B", "▁C"]


@pytest.mark.parametrize(
    ("added", "template", "said", "why"),
    [
        ((), None, {"base": True}, r"does not write ' A' as one token after '\?\\nAnswer:'.* another completion"),
        ((" A",), BLANK, {}, r"' B' as one token .* another chat template, or another model, is needed"),
        # A trailing blank goes into the token of the letter, so the prompt that ends in it is never seen before one.
        ((" A", " B"), None, {"base": True, "completion": "{question}\nAnswer: "}, "does not write 'A' as one token"),
    ],
)
def test_a_letter_that_is_not_one_token_more_is_refused(
    added: tuple[str, ...], template: str | None, said: dict[str, Any], why: str, spec: ModelSpec, tokenizer: Any
) -> None:
    with pytest.raises(UserError, match=why):
        letter_ids(speaking(spec, with_tokens(tokenizer, *added, template=template), **said), 2)


class Merging:
    """A tokenizer that writes the end of the prompt in another way when something follows."""

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": [7, 8] if text.endswith(":") else [7, 9, 65]}

    def decode(self, token_ids: list[int], **_: bool) -> str:
        return "".join(map(chr, token_ids))


def test_a_prompt_or_a_letter_that_the_tokenizer_cannot_write_is_refused(spec: ModelSpec, tokenizer: Any) -> None:
    with pytest.raises(UserError, match="does not write ' A' as one token after"):
        letter_ids(speaking(spec, Merging(), base=True), 1)
    with pytest.raises(UserError, match="' D' as one token"):
        letter_ids(speaking(spec, words("{% for m in messages %} {{ m['content'] }}{% endfor %}")), 4)
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = None
    with pytest.raises(UserError, match="no chat template"):
        letter_ids(speaking(spec, changed), 2)
