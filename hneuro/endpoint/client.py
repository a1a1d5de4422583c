"""Asking a model over HTTP: many requests at a time, each of them once.

Retries with growing pauses, which honour Retry-After, are the openai package's. Ours is what it lacks: the cache,
what a server refuses to be sent, a server that has died, and that the API key is never repeated to anybody.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hneuro.endpoint.cache import Answers, opened
from hneuro.endpoint.exchange import Failure, Reply, Request, message_of, printable, server_of, tokens_of
from hneuro.endpoint.settings import Endpoint
from hneuro.progress import track
from hneuro.records import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger(__name__)

OLD_LIMIT, NEW_LIMIT = "max_tokens", "max_completion_tokens"  # newer chat models refuse the old name
SHORTEST_SECRET = 8  # a key like "x" or "EMPTY" is none, and would be found in every text


def ask(endpoint: Endpoint, requests: Sequence[Request], about: str) -> tuple[Reply | Failure, ...]:
    """A reply to each request, in their order; `about` stands beside the progress bar.

    Equal requests are asked once, and what the cache knows is not asked. `UserError` where the server refuses the key
    or the model, cannot be reached, or has failed: what it has answered is kept. Where
    `stop_after` is None, what has failed is left out.
    """
    keys = [request.key(endpoint) for request in requests]
    with opened(endpoint.cache) as answers:
        found: dict[str, Reply | Failure] = {}
        waiting: dict[str, Request] = {}
        for key, request in zip(keys, requests, strict=True):
            if key not in found and key not in waiting:
                kept = answers.get(key)
                if kept is None:
                    waiting[key] = request
                else:
                    found[key] = json.loads(kept)
        server_of(endpoint).known += len(found)
        if waiting:
            endpoint.check()
            found |= asyncio.run(_Asking(endpoint, answers).all(waiting, about))
    return tuple(found[key] for key in keys)


class _Asking:
    client: AsyncOpenAI

    def __init__(self, endpoint: Endpoint, answers: Answers) -> None:
        self.endpoint = endpoint
        self.answers = answers
        self.server = server_of(endpoint)
        self.secret = endpoint.secret()
        self.free = asyncio.Semaphore(endpoint.concurrency)
        self.failed_in_a_row = 0
        self.given_up = False

    async def all(self, waiting: Mapping[str, Request], about: str) -> dict[str, Reply | Failure]:
        from openai import AsyncOpenAI

        from hneuro.endpoint.transport import bounded_client

        found: dict[str, Reply | Failure] = {}

        async def one(key: str) -> None:
            async with self.free:
                if self.given_up:
                    return
                try:
                    found[key] = await self._answer(key, waiting[key])
                except UserError:
                    self.given_up = True  # before another request takes the place that is free now
                    raise

        keys = list(waiting)
        async with AsyncOpenAI(
            base_url=self.endpoint.base_url,
            api_key=self.secret or "none",  # else the package would send another service's key, if it finds one
            timeout=self.endpoint.timeout,
            max_retries=self.endpoint.retries,
            http_client=bounded_client(self.endpoint.timeout),
        ) as self.client:
            extras = {name for request in waiting.values() for name in request.extras}
            if not self.server.reached or not extras <= self.server.settled:  # alone, to learn what it refuses
                await one(keys.pop(0))
            tasks = [asyncio.create_task(one(key)) for key in keys]
            try:
                done = track(asyncio.as_completed(tasks), about, total=len(waiting), done=len(waiting) - len(keys))
                for task in done:
                    await task
            finally:
                for left in tasks:
                    left.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        failed = [reply for reply in found.values() if isinstance(reply, Failure) and reply.passing]
        if failed and self.endpoint.stop_after is not None:
            raise UserError(
                f"{len(failed)} of {len(waiting)} requests to {self._where} have failed ({failed[0].reason}): see to "
                "the server and run again; what it has answered is kept, and stop_after=null goes on without the others"
            )
        return found

    async def _answer(self, key: str, request: Request) -> Reply | Failure:
        reply = await self._send(request)
        if isinstance(reply, Failure):
            self.failed_in_a_row += 1
            if self.endpoint.stop_after is not None and self.failed_in_a_row >= self.endpoint.stop_after:
                raise UserError(
                    f"{self.failed_in_a_row} requests in a row to {self._where} have failed ({reply.reason}): see to "
                    "the server and run again; what it has answered is kept"
                )
            return reply
        self.failed_in_a_row, self.server.reached = 0, True
        read, written = tokens_of(request, reply)
        self.server.asked += 1
        self.server.tokens_in += read
        self.server.tokens_out += written
        self.answers.put(key, self.endpoint.model, json.dumps(reply, ensure_ascii=False))
        return reply

    async def _send(self, request: Request) -> Reply | Failure:
        """Sends a request, and once more without the extras that a server refuses. What that taught is remembered."""
        extras = {name: value for name, value in request.extras.items() if name not in self.server.refused}
        dropped: set[str] = set()
        while True:
            reply = await self._post(request, extras)
            if not isinstance(reply, Failure):
                self.server.refused |= dropped
                self.server.settled |= set(request.extras)
                return reply
            if not reply.refused:
                return reply
            if NEW_LIMIT in reply.reason and OLD_LIMIT not in self.server.refused:
                self.server.refused.add(OLD_LIMIT)
                continue
            if not extras:
                return reply
            blamed = {name for name in extras if name in reply.reason} or set(extras)
            dropped |= blamed
            extras = {name: value for name, value in extras.items() if name not in blamed}

    async def _post(self, request: Request, extras: Mapping[str, Any]) -> Reply | Failure:
        import openai

        to = self.client.chat.completions if request.path == "chat/completions" else self.client.completions
        name = "messages" if request.path == "chat/completions" else "prompt"
        others = {key: value for key, value in request.body.items() if key != name} | dict(extras)
        if OLD_LIMIT in others and OLD_LIMIT in self.server.refused:
            others[NEW_LIMIT] = others.pop(OLD_LIMIT)
        try:
            raw = await to.with_raw_response.create(
                model=self.endpoint.model, extra_body=others, **{name: request.body[name]}
            )
            reply = self._cleaned(json.loads(raw.http_response.text))
        except openai.APITimeoutError:
            return Failure(reason=f"no answer within {self.endpoint.timeout:g} s")
        except openai.APIConnectionError:
            if self.server.reached:
                return Failure(reason="the connection broke")
            raise UserError(f"cannot reach {self._where}: start the server, or set base_url") from None
        except openai.APIStatusError as fault:
            # Never chained, and never shown as it is: a server may repeat the key in what it says.
            status, said = fault.status_code, message_of(self._clean(fault.response.text))
        except openai.OpenAIError as fault:
            return Failure(reason=f"{type(fault).__name__} of the openai package")
        except ValueError:
            return Failure(reason="a reply that is no JSON")
        else:
            return reply if isinstance(reply, dict) else Failure(reason="a reply that is no JSON object")
        return self._refusal(status, said)

    def _refusal(self, status: int, said: str) -> Failure:
        if status in (401, 403):
            name = self.endpoint.api_key_env
            way = f"check the environment variable {name}" if name else "name the variable with its key in api_key_env"
            raise UserError(f"{self._where} refuses the API key (status {status}): {way}")
        if status in (404, 405):
            raise UserError(f"{self._where} does not serve this model, or not so (status {status}: {said})")
        kinds = {408: "no answer in time", 429: "rate limited"}
        kind = kinds.get(status, "a server error" if status >= 500 else "refused by the server")
        return Failure(reason=f"{kind}: status {status}, {said}", status=status)

    def _clean(self, text: str) -> str:
        secret = self.secret or ""
        return text.replace(secret, "[API key]") if len(secret) >= SHORTEST_SECRET else text

    def _cleaned(self, reply: Any) -> Any:
        """A reply that can be kept: without the key, however it was escaped, and without half characters."""
        return json.loads(printable(self._clean(json.dumps(reply, ensure_ascii=False))))

    @property
    def _where(self) -> str:
        return f"{self.endpoint.model} at {self.endpoint.base_url}"
