"""Chat: what an assistant says, whole or not, or the reason why there is nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hneuro.endpoint.client import Endpoint, Failure, Reply, Request, ask

Message = Mapping[str, str]  # {"role": ..., "content": ...}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    text: str
    whole: bool  # False: the limit of tokens, or the server's filter, cut it off


@dataclass(frozen=True, kw_only=True)
class ChatClient:
    """A model that answers conversations, greedily."""

    endpoint: Endpoint
    max_tokens: int = 300

    def check(self) -> None:
        self.endpoint.check()

    def ask(self, prompts: Sequence[Sequence[Message]]) -> tuple[str | Failure, ...]:
        """The assistant's next words in each conversation; a reply that was cut off is a failure."""
        said = converse(self.endpoint, prompts, self.max_tokens, self.endpoint.model)
        return tuple(_whole(one) if isinstance(one, Said) else one for one in said)


def converse(
    endpoint: Endpoint,
    prompts: Sequence[Sequence[Message]],
    max_tokens: int,
    about: str,
    extras: Mapping[str, Any] | None = None,
) -> tuple[Said | Failure, ...]:
    """What the assistant says next in each conversation, at temperature 0, in at most `max_tokens` tokens."""
    requests = [
        Request(
            path="chat/completions",
            body={"messages": [dict(m) for m in prompt], "temperature": 0, "max_tokens": max_tokens},
            extras=extras or {},
        )
        for prompt in prompts
    ]
    return tuple(_said(reply) for reply in ask(endpoint, requests, about))


def _said(reply: Reply | Failure) -> Said | Failure:
    if isinstance(reply, Failure):
        return reply
    choices = reply.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        return Failure(reason="a reply without a message")
    text = message.get("content")
    if not isinstance(text, str) or not text.strip():
        declined = message.get("refusal")
        return Failure(reason=f"declined by the model: {start_of(str(declined))}" if declined else "an empty reply")
    whole = choice.get("finish_reason") not in ("length", "content_filter")
    return Said(text=text.rpartition("</think>")[2].strip(), whole=whole)


def _whole(said: Said) -> str | Failure:
    return said.text if said.whole else Failure(reason=f"a reply that was cut off: {start_of(said.text)}")


def start_of(text: str) -> str:
    """The first characters of a text, on one line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 80 else f"{line[:77]}...")
