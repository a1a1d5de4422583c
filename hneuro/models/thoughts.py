"""Models that think before they answer: how they are kept from it, and where the answer begins when they are not."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache

from jinja2 import Environment, TemplateSyntaxError
from jinja2.meta import find_undeclared_variables

SWITCHES = ("enable_thinking", "thinking")  # as chat templates call them
HARMONY = ("<|channel|>", "<|channel|>final<|message|>")  # whatever is not said in the final channel is thought
MARKS = (
    HARMONY, ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"), ("<|inner_prefix|>", "<|inner_suffix|>"),
)  # fmt: skip
OPENING = 8  # tokens at the end of a prompt, among which a template may open a thought

Marks = tuple[str, str]  # what opens a thought, and what closes it


@lru_cache(maxsize=8)
def marks_of(template: str) -> tuple[Marks, ...]:
    """Those that a chat template knows."""
    return tuple(pair for pair in MARKS if pair[1] in template)


@lru_cache(maxsize=8)
def switches_of(template: str) -> tuple[str, ...]:
    """The options by which a chat template is told whether the model shall think."""
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
    return "cut off within its thought" if truncated else "no answer behind its thought"
