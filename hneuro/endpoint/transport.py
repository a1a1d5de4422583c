"""A connection on which one attempt takes no longer than it may, however slowly or much a server sends."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from openai import DefaultAsyncHttpxClient

MOST = 64 << 20  # bytes of a reply; what is longer is cut, and then no JSON
OF_THE_WAY = ("content-encoding", "content-length", "transfer-encoding")
# The package's versions are built on httpx or on its successor, and know the exceptions of their own alone.
OWN: Any = importlib.import_module(DefaultAsyncHttpxClient.__bases__[0].__module__.partition(".")[0])


class _Bounded(DefaultAsyncHttpxClient):
    """httpx alone bounds the wait for the next byte, not the whole."""

    def __init__(self, seconds: float) -> None:
        super().__init__(timeout=seconds)
        self.seconds = seconds

    async def send(self, request: Any, **options: Any) -> Any:
        try:
            async with asyncio.timeout(self.seconds):
                response = await super().send(request, **options | {"stream": True})
                body = bytearray()
                try:
                    async for block in response.aiter_bytes():
                        body += block
                        if len(body) > MOST:
                            break
                finally:
                    await response.aclose()
        except TimeoutError as fault:
            raise OWN.ReadTimeout("the whole reply took too long", request=request) from fault
        headers = [(name, value) for name, value in response.headers.multi_items() if name not in OF_THE_WAY]
        return OWN.Response(response.status_code, headers=headers, content=bytes(body[:MOST]), request=request)


def bounded_client(seconds: float) -> Any:
    """The package's own client, an attempt of which ends after `seconds`."""
    return _Bounded(seconds)
