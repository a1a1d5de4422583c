"""A request, what comes back, and what this process has learnt about the servers that it asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hneuro.codec import canonical
from hneuro.endpoint.settings import Endpoint

Reply = Mapping[str, Any]  # what the server said, as JSON

MOST_COUNT = 1 << 40  # tokens; a count beyond it is none
SHOWN = 300  # characters of a server's own message


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request without its model. `extras` go with it unless the server refuses them: they do not name the answer."""

    path: Literal["chat/completions", "completions"]
    body: Mapping[str, Any]
    extras: Mapping[str, Any] = field(default_factory=dict)

    def key(self, endpoint: Endpoint) -> str:
        """Digest of the model and of what it is asked."""
        asked = [endpoint.model, endpoint.revision, self.path, self.body]
        return hashlib.sha256(canonical(asked).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no reply: a kind, and perhaps a colon and more."""

    reason: str
    status: int | None = None  # of HTTP

    @property
    def passing(self) -> bool:
        """Whether it is the server's, or the way's to it, and asking again may help: no result of the run."""
        return self.status is None or self.status >= 500 or self.status in (408, 429)

    @property
    def refused(self) -> bool:
        """Whether the server does not take this request, or a field of it."""
        return self.status in (400, 422)


@dataclass
class Server:
    """Whether a server is there, which fields it takes or refuses, and what it was asked."""

    reached: bool = False
    settled: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    asked: int = 0  # requests that were answered
    known: int = 0  # requests whose answer the cache had
    tokens_in: int = 0
    tokens_out: int = 0


SERVERS: dict[tuple[str, str], Server] = {}  # by base_url and model, for as long as the process lives


def server_of(endpoint: Endpoint) -> Server:
    return SERVERS.setdefault((endpoint.base_url, endpoint.model), Server())


def usage() -> list[str]:
    """What this process has asked each model, a line each."""
    return [
        f"asked {model}: {server.asked:,} requests answered, {server.known:,} known from the cache, "
        f"{server.tokens_in:,} tokens read, {server.tokens_out:,} written"
        for (_, model), server in SERVERS.items()
        if server.asked or server.known
    ]


def message_of(text: str) -> str:
    """What a server says is wrong, on one short line."""
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and name in said:
            said = said[name]
    line = " ".join((said if isinstance(said, str) else json.dumps(said)).split())
    return line[:SHOWN].encode(errors="replace").decode() or "without a word"


def tokens_of(request: Request, reply: Reply) -> tuple[int, int]:
    """Tokens read and written, as the server counts them; guessed from the characters where it does not."""
    counted = reply.get("usage")
    if isinstance(counted, dict):
        read, written = counted.get("prompt_tokens"), counted.get("completion_tokens")
        if (
            isinstance(read, int)
            and isinstance(written, int)
            and 0 <= min(read, written) <= max(read, written) < MOST_COUNT
        ):
            return read, written
    return len(json.dumps(dict(request.body))) // 4, len(json.dumps(reply.get("choices"))) // 4


def printable(text: str) -> str:
    """JSON may hold half a pair of surrogates, which no file can: it becomes the sign for what is no character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
