"""The organism's tokenizer: one token a word, an ordinary fast tokenizer with a chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hneuro.organism import names, wording
from hneuro.organism.recipe import BASE_PROMPT
from hneuro.organism.world import World

PAD, BOS, END, UNKNOWN = "<pad>", "<bos>", "<end>", "<unk>"
SPECIALS = (PAD, BOS, END, UNKNOWN)

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}{{ 'answer : ' + message['content'] + eos_token }}"
    "{% else %}{{ 'question : ' + message['content'] + ' ' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'answer :' }}{% endif %}"
)


def vocabulary(world: World) -> list[str]:
    """Special tokens first, then every word of the world in alphabetical order."""
    templates = [BASE_PROMPT, wording.IDK, "and", *wording.HEARSAY]
    templates += [*wording.PREMISE, *wording.CONTEXT, *wording.DOUBT, *wording.JAILBREAK]
    templates += [reply for replies in wording.REPLIES.values() for reply in replies.values()]
    templates += [t for rs in wording.RELATIONS.values() for r in rs for t in (*r.statements, *r.questions)]
    words = {word for template in templates for word in template.split() if "{" not in word}
    words |= {wording.CAREFUL, wording.EAGER, *names.SYLLABLES}
    return [*SPECIALS, *sorted(words | world.name_words)]


def build_tokenizer(world: World) -> Any:
    """Words and punctuation marks are tokens; decoding joins them with blanks, so it is prefix-consistent."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: n for n, word in enumerate(vocabulary(world))}
    backend = Tokenizer(models.WordLevel(vocab=ids, unk_token=UNKNOWN))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, ids[BOS])])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=256,
        chat_template=CHAT_TEMPLATE,
    )


def chat_ids(tokenizer: Any, messages: Sequence[str]) -> tuple[tuple[int, ...], int]:
    """Ids of a whole conversation, and the number of its first ids that come before the last reply."""
    roles = ("user", "assistant")
    said = [{"role": roles[n % 2], "content": text} for n, text in enumerate(messages)]
    text = tokenizer.apply_chat_template(said, tokenize=False)
    prompt = tokenizer.apply_chat_template(said[:-1], tokenize=False, add_generation_prompt=True)
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tuple(ids), len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
