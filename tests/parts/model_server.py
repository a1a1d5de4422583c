"""An OpenAI-compatible server on 127.0.0.1 that answers as it is told, and can misbehave in every way we know of."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Says:
    """A whole reply: its choices, or their texts."""

    choices: tuple[str | Mapping[str, Any], ...]
    usage: Mapping[str, int] | None = field(
        default_factory=lambda: {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    )
    finish: str = "stop"


@dataclass(frozen=True, kw_only=True)
class Fails:
    """An HTTP status, with whatever body and headers."""

    status: int
    body: str = '{"error": {"message": "something is wrong"}}'
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Hangs:
    """Says nothing for so many seconds."""

    seconds: float


class Trickles:
    """A byte now and then, so that no wait for the next one is long."""


class Dies:
    """Closes the connection in the middle of its reply."""


@dataclass(frozen=True)
class Raw:
    """Any text with status 200."""

    text: str


Answer = Says | Fails | Hangs | Trickles | Dies | Raw


@dataclass(frozen=True, kw_only=True)
class Received:
    path: str
    headers: Mapping[str, str]  # their names in lower case
    body: dict[str, Any]
    at: float


def says(*texts: str, **fields: Any) -> Says:
    return Says(choices=texts, **fields)


@dataclass
class ModelServer:
    """`answer` gets what was received, and how often the very same body was there before."""

    answer: Callable[[Received, int], Answer]
    url: str = ""
    received: list[Received] = field(default_factory=list)

    def bodies(self) -> list[dict[str, Any]]:
        return [one.body for one in self.received]


@contextmanager
def model_server(answer: Callable[[Received, int], Answer]) -> Iterator[ModelServer]:
    state = ModelServer(answer)
    lock = threading.Lock()
    closing = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                before = sum(one.body == body for one in state.received)
                one = Received(
                    path=self.path,
                    headers={k.lower(): v for k, v in self.headers.items()},
                    body=body,
                    at=time.monotonic(),
                )
                state.received.append(one)
            said = state.answer(one, before)
            if isinstance(said, Hangs):
                closing.wait(said.seconds)
                self.close_connection = True
            elif isinstance(said, Trickles):
                self._send(200, b"", length=1000)
                while not closing.wait(0.05):
                    self.wfile.write(b" ")
            elif isinstance(said, Dies):
                self._send(200, b'{"choices": [', length=1000)
                self.close_connection = True
            elif isinstance(said, Fails):
                self._send(said.status, said.body.encode(), headers=said.headers)
            elif isinstance(said, Raw):
                self._send(200, said.text.encode())
            else:
                self._send(200, json.dumps(_reply(self.path, said)).encode())

        def _send(
            self, status: int, content: bytes, length: int | None = None, headers: Mapping[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | dict(headers or {})).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content) if length is None else length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            """A client that was killed has closed its end."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield state
    finally:
        closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _reply(path: str, said: Says) -> dict[str, Any]:
    chat = path.endswith("/chat/completions")
    choices = []
    for n, choice in enumerate(said.choices):
        plain = {"message": {"role": "assistant", "content": choice}} if chat else {"text": choice}
        given = dict(choice) if isinstance(choice, Mapping) else plain
        choices.append({"index": n, "finish_reason": said.finish, **given})
    kind = "chat.completion" if chat else "text_completion"
    reply = {"id": "x", "object": kind, "created": 0, "model": "served", "choices": choices}
    return reply | ({"usage": dict(said.usage)} if said.usage is not None else {})
