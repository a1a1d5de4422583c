"""The answer as a language model copies it out of the response; we find where it is.

The model is asked for text, never for tokens or positions: lists of tokens, printed and parsed again, lost every answer
with an apostrophe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

from hneuro.endpoint.client import Failure
from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.base import Item, no_span, span_at
from hneuro.spans.normal import Occurrence, chosen, find
from hneuro.spans.short_answer import trimmed
from hneuro.spans.tokens import Decode

Messages = tuple[Mapping[str, str], ...]  # of a chat: {"role": ..., "content": ...}

AGAIN = "That text does not stand in the response. Copy it word for word, with its spelling and punctuation."
ELSEWHERE = "the copied text is not in the response"
EDGES = " \t\r\n\"'“”‘’`.*"
FIELDS = re.compile(r"\{(question|response|none)\}")


@runtime_checkable
class Client(Protocol):
    """Whoever asks the model, at temperature 0, and keeps, repeats and counts what it asks."""

    def check(self) -> None:
        """`UserError` where it cannot ask anybody."""

    def ask(self, prompts: Sequence[Messages]) -> Sequence[str | Failure]:
        """A reply to each prompt, in order."""


@dataclass(frozen=True, kw_only=True)
class LlmLocator:
    """The part of the response that an OpenAI-compatible model copies (paper, section 2.2: GPT-4o, one example).

    `prompt` holds {question} and {response}; the response is put there without blanks around it. A copy is found
    exactly, or else without regard to case, accents, quotes and blanks, or else by its words. `occurrence`: which one
    counts where the copied text occurs several times. `none` is what the model replies where there is no answer.
    `attempts`: a copy that is not in the response is asked for again, with that remark.
    """

    client: Client
    prompt: str
    none: str = "NONE"
    occurrence: Occurrence = "first"
    attempts: int = 2
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        missing = [name for name in ("{question}", "{response}") if name not in self.prompt]
        if missing:
            raise ValueError(f"prompt must contain {' and '.join(missing)}")
        if not self.none.strip() or self.attempts < 1:
            raise ValueError("none must not be empty, and attempts must be at least 1")

    def check(self) -> None:
        self.client.check()

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        asked: dict[int, Messages] = {n: self._messages(*item) for n, item in enumerate(items)}
        found: dict[int, AnswerSpan] = {}
        for _ in range(self.attempts):
            replies = self.client.ask(list(asked.values())) if asked else []
            assert len(replies) == len(asked)
            again: dict[int, Messages] = {}
            for (n, messages), reply in zip(asked.items(), replies, strict=True):
                found[n] = self._span(items[n][1], reply, decode)
                if found[n].reason == ELSEWHERE:
                    assert isinstance(reply, str)
                    again[n] = (
                        *messages,
                        {"role": "assistant", "content": reply},
                        {"role": "user", "content": AGAIN},
                    )
            asked = again
        return tuple(found[n] for n in range(len(items)))

    def _messages(self, question: Question, response: Response) -> Messages:
        # In one pass, not one after the other: a response may itself contain "{question}".
        values = {"{question}": question.text, "{response}": response.text.strip(), "{none}": self.none}
        said = FIELDS.sub(lambda field: values[field[0]], self.prompt)
        return ({"role": "user", "content": said},)

    def _span(self, response: Response, reply: str | Failure, decode: Decode) -> AnswerSpan:
        if not isinstance(reply, str):
            return no_span(response, reply.reason, "llm")
        copied = reply.strip()
        if not copied:
            return no_span(response, "the model replied nothing", "llm")
        if copied.strip(EDGES) == self.none:
            return no_span(response, "the model sees no answer", "llm")
        copies = find(copied, response.text) or find(copied.strip(EDGES), response.text)
        places = [trimmed(response.text, *place) for place in chosen(copies, self.occurrence)]
        if not places or any(start == stop for start, stop in places):
            return no_span(response, ELSEWHERE, "llm")
        return span_at(response, places, decode, "llm")
