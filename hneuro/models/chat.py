"""Prompts as token ids, and where in what comes back the answer begins.

A prompt is rendered once, by one object, and the same ids are sampled from and measured on.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import Environment, TemplateError, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables

from hneuro.records import UserError

# Models that think before they answer: how templates tell them whether to, and what opens and closes a thought.
SWITCHES = ("enable_thinking", "thinking")  # as chat templates call them
HARMONY = ("<|channel|>", "<|channel|>final<|message|>")  # whatever is not said in the final channel is thought
MARKS = (
    HARMONY, ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"), ("<|inner_prefix|>", "<|inner_suffix|>"),
)  # fmt: skip
OPENING = 8  # tokens at the end of a prompt, among which a template may open a thought

Marks = tuple[str, str]  # what opens a thought, and what closes it


@dataclass(frozen=True, kw_only=True)
class Prompting:
    """How questions are put to a model (paper, appendix: answer-only suffix for chat models, "\\nAnswer:" for base).

    `chat` = false: the chat model has no chat template, and completes like a base model: `suffix` is not used then.
    `template_options` go to the chat template. A model whose template knows how to keep it from thinking at length is
    kept from it, unless {"enable_thinking": True} says otherwise.
    """

    chat: bool = True
    suffix: str = " Respond with the answer only, without any explanation."
    system: str | None = None
    template_options: Mapping[str, Any] = field(default_factory=dict)
    completion: str = "{question}\nAnswer:"
    completion_stop: str = "\n"  # a base model has no end of turn: its answer ends before this text

    def __post_init__(self) -> None:
        if "{question}" not in self.completion:
            raise ValueError("completion must contain {question}")
        if not self.chat and (self.system or self.template_options):
            raise ValueError("system and template_options go to a chat template, which chat=false does without")
        if "add_generation_prompt" in self.template_options:
            raise ValueError("template_options cannot set add_generation_prompt: a prompt ends where the model speaks")

    def spoken(self, text: str) -> str:
        """An answer as it follows its prompt: after a blank where the model completes a text."""
        return text if self.chat else f" {text.strip()}"

    def question_ids(self, tokenizer: Any, text: str) -> tuple[int, ...]:
        return self.chat_ids(tokenizer, [{"role": "user", "content": text + self.suffix}])

    def chat_ids(self, tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """Ids of a conversation that ends where the assistant begins to speak."""
        options = self.options(tokenizer)
        said = [{"role": "system", "content": self.system}, *messages] if self.system else list(messages)
        try:
            ids = tokenizer.apply_chat_template(
                said, add_generation_prompt=True, tokenize=True, return_dict=False, **options
            )
        except TemplateError as fault:  # some templates know no system role
            raise UserError(f"the chat template of {tokenizer.name_or_path} refuses the prompt: {fault}") from fault
        if not _takes_in(tokenizer, str(tokenizer.get_chat_template())):
            raise UserError(f"the chat template of {tokenizer.name_or_path} leaves out what it is given: mend it")
        return _single_bos(tokenizer, ids)

    def options(self, tokenizer: Any) -> dict[str, Any]:
        """What the chat template is given; `UserError` where there is none, or it does not know an option."""
        template = template_of(tokenizer)
        for option in self.template_options:
            if option not in template:  # else it would be ignored without a word
                raise UserError(f"the chat template of {tokenizer.name_or_path} has no option {option!r}")
        if self.template_options.keys() & {*SWITCHES}:
            return dict(self.template_options)
        return {**dict.fromkeys(switches_of(template), False), **self.template_options}

    def completion_ids(self, tokenizer: Any, text: str) -> tuple[int, ...]:
        return self.transcript_ids(tokenizer, [{"role": "user", "content": text}])

    def transcript_ids(self, tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        """Ids of a conversation as a text that the model completes: `completion` for each turn of the user.

        An answer of the model comes after a blank, and before a line break where the conversation continues.
        """
        text = ""
        for message in messages:
            if message["role"] == "assistant":
                text += f" {message['content'].strip()}\n"
            else:
                text += self.completion.replace("{question}", message["content"])
        return _single_bos(tokenizer, tokenizer(text)["input_ids"])


def template_of(tokenizer: Any) -> str:
    """The chat template; `UserError` where there is none."""
    if tokenizer.chat_template is None:
        raise UserError(
            f"{tokenizer.name_or_path} has no chat template: use an instruction-tuned checkpoint as model.chat, "
            "or have it complete texts with model.prompting.chat=false"
        )
    return str(tokenizer.get_chat_template())


@lru_cache(maxsize=8)
def _takes_in(tokenizer: Any, template: str) -> bool:
    """Whether a chat template makes different prompts of different questions."""
    said = [[{"role": "user", "content": word}] for word in ("A", "B")]
    try:
        one, two = (tokenizer.apply_chat_template(m, chat_template=template, tokenize=False) for m in said)
    except TemplateError:  # it takes no such conversation
        return True
    return bool(one != two)


def turn_end(tokenizer: Any) -> frozenset[int]:
    """The special token that the chat template writes after what the assistant has said, if it writes one."""
    said = [[{"role": "user", "content": "?"}, {"role": "assistant", "content": word}] for word in ("A", "B")]
    try:
        one, two = (tokenizer.apply_chat_template(m, tokenize=True, return_dict=False) for m in said)
    except TemplateError:  # it takes no such conversation
        return frozenset()
    same = next((n for n, (a, b) in enumerate(zip(one[::-1], two[::-1], strict=False)) if a != b), 0)
    behind = one[len(one) - same : len(one) - same + 1]
    return frozenset(int(token) for token in behind if tokenizer.decode([token], skip_special_tokens=True) == "")


def _single_bos(tokenizer: Any, ids: Sequence[int]) -> tuple[int, ...]:
    """A second BOS, from a template and a tokenizer that both add one, would shift every position."""
    if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id:
        raise UserError(f"{tokenizer.name_or_path} begins a prompt with two BOS tokens: mend its chat template")
    return tuple(int(i) for i in ids)


@lru_cache(maxsize=8)
def marks_of(template: str) -> tuple[Marks, ...]:
    """Those that a chat template knows."""
    return tuple(pair for pair in MARKS if pair[1] in template)


@lru_cache(maxsize=8)
def switches_of(template: str) -> tuple[str, ...]:
    """The options by which a chat template learns whether the model shall think."""
    plain = re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template)  # a tag of the transformers library
    try:
        known = find_undeclared_variables(Environment(extensions=["jinja2.ext.loopcontrols"]).parse(plain))
    except TemplateSyntaxError:  # rendering it says so
        return ()
    return tuple(name for name in SWITCHES if name in known)


def is_open(text: str, marks: Marks) -> bool:
    """Whether a text ends inside a thought."""
    return text.rfind(marks[0]) > text.rfind(marks[1])


def answer_start(
    written: Callable[[Sequence[int]], str], marks: Sequence[Marks], prompt_ids: Sequence[int], ids: Sequence[int]
) -> int | None:
    """How many of the generated tokens come before the answer; None where it never comes.

    `written`: their text with special tokens, for some of the marks are.
    """
    for pair in marks:
        said = written(ids)
        plain = pair == HARMONY and said.startswith("analysis")  # from a server that leaves special tokens out
        close = "assistantfinal" if plain else pair[1]
        closed = said.count(close)
        begun = plain or is_open(written(prompt_ids[-OPENING:]), pair)
        if (begun and not closed) or (not plain and is_open(said, pair)):
            return None
        if closed:
            start = bisect_left(range(len(ids)), closed, key=lambda n: written(ids[:n]).count(close))
            cut = written(ids[:start]).rpartition(close)[2].strip()  # by a token that both have a part of
            return None if cut else start
    return 0


def unfinished(truncated: bool) -> str:
    """Why there is no answer, where `answer_start` finds none."""
    return "cut off within its thought" if truncated else "no answer after its thought"
