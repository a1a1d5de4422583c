"""Asking a model over HTTP: many requests at a time, each of them once.

Retries with growing pauses, which honour Retry-After, are the openai package's. Ours is what it lacks: answers that
were paid for are kept, a server that has died stops the run, and the API key is never repeated to anybody.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from hneuro.codec import canonical
from hneuro.progress import track
from hneuro.records import ASIDE, UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

NAME = re.compile(r"[A-Z_][A-Z0-9_]*")  # of an environment variable; keys have other letters
PATIENCE = 60.0  # seconds of waiting for another process that writes to the cache
PAUSE = 8.0  # seconds: the longest between two attempts, where the server asks for none
SHORTEST_SECRET = 8  # a key like "x" or "EMPTY" is none, and would be found in every text
SHOWN = 300  # characters of a server's own message

Reply = Mapping[str, Any]  # what the server said, as JSON


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A model behind an OpenAI-compatible server: a public service, `vllm serve`, SGLang, TGI, llama.cpp.

    Answers are kept in `cache` under what was asked, and are never asked for again. A request that fails is retried.
    Where it still fails, the run stops, at once after `stop_after` in a row, and the same command resumes later; with
    `stop_after` = None what failed counts as such and is left alone, until `again` is raised. Fields in `refuses` are
    not sent to the server.
    """

    model: str
    revision: str = ""  # change it when another model is served under the same name
    base_url: str = field(default="http://127.0.0.1:8000/v1", metadata=ASIDE)
    api_key_env: str | None = field(default=None, metadata=ASIDE)  # the NAME of an environment variable
    cache: str | None = field(default=None, metadata=ASIDE)  # a file; None: answers are forgotten
    concurrency: int = field(default=16, metadata=ASIDE)  # requests at a time
    timeout: float = field(default=600.0, metadata=ASIDE)  # seconds of one attempt
    retries: int = field(default=5, metadata=ASIDE)
    stop_after: int | None = field(default=20, metadata=ASIDE)
    refuses: tuple[str, ...] = field(default=(), metadata=ASIDE)
    limit: Literal["max_tokens", "max_completion_tokens"] = field(default="max_tokens", metadata=ASIDE)  # its name
    again: int = 0

    def __post_init__(self) -> None:
        if not self.model.strip():
            raise ValueError("model must name the model that the server serves")
        url = urlsplit(self.base_url)
        if url.scheme not in ("http", "https") or not url.netloc:
            raise ValueError("base_url must begin with http:// or https://, and usually ends in /v1")
        if "@" in url.netloc or url.query:
            raise ValueError("base_url must hold no secret: put the key into an environment variable, see api_key_env")
        if self.api_key_env is not None and not NAME.fullmatch(self.api_key_env):
            # The value may be the key itself, so it is not shown.
            raise ValueError("api_key_env must be the NAME of an environment variable, such as OPENAI_API_KEY")
        if self.concurrency < 1 or self.timeout <= 0 or self.retries < 0:
            raise ValueError("concurrency must be at least 1, timeout above 0 and retries not negative")
        if self.stop_after is not None and self.stop_after < 1:
            raise ValueError("stop_after must be at least 1, or null")

    def check(self) -> None:
        """`UserError` where nothing could be asked: the package or the key is missing."""
        self.secret()
        try:
            import openai  # noqa: F401
        except ImportError as fault:
            raise UserError(
                f"asking {self.model} needs the openai package: install it with pip install 'hneuro[endpoint]'"
            ) from fault

    def secret(self) -> str | None:
        """The API key, None where no variable is named. It is read when it is needed, and kept nowhere."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise UserError(f"the API key of {self.model} is missing: set the environment variable {self.api_key_env}")
        if not (key.isascii() and key.isprintable()):
            raise UserError(f"the environment variable {self.api_key_env} holds characters that no API key has")
        return key


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


class Answers:
    """Replies by key, on the disk: safe for several processes, whole after a kill."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        connection.execute(
            "CREATE TABLE IF NOT EXISTS answers "
            "(key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL) WITHOUT ROWID"
        )

    def get(self, key: str) -> str | None:
        row = self._connection.execute("SELECT reply FROM answers WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, model: str, reply: str) -> None:
        with self._connection:
            self._connection.execute("INSERT OR IGNORE INTO answers VALUES (?, ?, ?)", (key, model, reply))


@contextmanager
def _answers(file: str | None) -> Iterator[Answers]:
    """The answers in `file`, made where it is missing; in memory without one. `UserError` where it cannot be used."""
    try:
        if file is not None:
            with suppress(OSError):  # sqlite says it, too
                Path(file).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file or ":memory:", timeout=PATIENCE)
        try:
            yield Answers(connection)
        finally:
            connection.close()
    except sqlite3.Error as fault:
        way = "make room" if "full" in str(fault) else "choose another file as cache, or delete it if it is damaged"
        raise UserError(f"the cache of answers {file} cannot be used ({fault}): {way}") from fault


_used: dict[str, Counter[str]] = {}  # by model, for as long as the process lives
_reached: set[tuple[str, str]] = set()  # base_url and model of servers that have answered


def has_answered(endpoint: Endpoint) -> bool:
    """Whether the server has answered this process before."""
    return (endpoint.base_url, endpoint.model) in _reached


def usage() -> list[str]:
    """What this process has asked each model, a line each; tokens as the servers count them."""
    return [
        f"asked {model}: {used['asked']:,} requests answered, {used['known']:,} known from the cache, "
        f"{used['prompt_tokens']:,} tokens read, {used['completion_tokens']:,} written"
        for model, used in _used.items()
        if used["asked"] or used["known"]
    ]


def ask(endpoint: Endpoint, requests: Sequence[Request], about: str) -> tuple[Reply | Failure, ...]:
    """A reply to each request, in their order; `about` is shown next to the progress bar.

    Equal requests are asked once, and what the cache knows is not asked. `UserError` where the server refuses the key
    or the model, cannot be reached, or has failed: what it has answered is kept. Where `stop_after` is None, what has
    failed is left out.
    """
    keys = [request.key(endpoint) for request in requests]
    with _answers(endpoint.cache) as answers:
        distinct = dict(zip(keys, requests, strict=True))
        found: dict[str, Reply | Failure] = {
            key: json.loads(kept) for key in distinct if (kept := answers.get(key)) is not None
        }
        _used.setdefault(endpoint.model, Counter())["known"] += len(found)
        if waiting := {key: request for key, request in distinct.items() if key not in found}:
            endpoint.check()
            found |= asyncio.run(_Asking(endpoint, answers).all(waiting, about))
    return tuple(found[key] for key in keys)


class _Asking:
    client: AsyncOpenAI

    def __init__(self, endpoint: Endpoint, answers: Answers) -> None:
        self.endpoint = endpoint
        self.answers = answers
        self.secret = endpoint.secret()
        self.failed_in_a_row = 0
        self.given_up = False

    async def all(self, waiting: Mapping[str, Request], about: str) -> dict[str, Reply | Failure]:
        from openai import AsyncOpenAI

        found: dict[str, Reply | Failure] = {}
        free = asyncio.Semaphore(self.endpoint.concurrency)

        async def one(key: str) -> None:
            async with free:
                if self.given_up:
                    return
                try:
                    found[key] = await self._answer(key, waiting[key])
                except UserError:
                    self.given_up = True  # before another request takes the place that is free now
                    raise

        async with AsyncOpenAI(
            base_url=self.endpoint.base_url,
            api_key=self.secret or "none",  # else the package would send another service's key, if it finds one
            timeout=self.endpoint.timeout,
            max_retries=self.endpoint.retries,
        ) as self.client:
            tasks = [asyncio.create_task(one(key)) for key in waiting]
            try:
                for task in track(asyncio.as_completed(tasks), about, total=len(tasks)):
                    await task
            finally:
                for left in tasks:
                    left.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        failed = [reply for reply in found.values() if isinstance(reply, Failure)]
        if self.endpoint.stop_after is None:
            return found
        if failed and not has_answered(self.endpoint) and all(one.status in (400, 422) for one in failed):
            raise UserError(
                f"{self._where} refuses what it is asked ({failed[0].reason}): name fields that it does not take in "
                "endpoint.refuses, or what it calls the longest answer in endpoint.limit"
            )
        if failed := [one for one in failed if one.passing]:
            raise UserError(
                f"{len(failed)} of {len(waiting)} requests to {self._where} have failed ({failed[0].reason}): see to "
                "the server and run again; what it has answered is kept, and stop_after=null continues without them"
            )
        return found

    async def _answer(self, key: str, request: Request) -> Reply | Failure:
        reply = await self._post(request)
        if isinstance(reply, Failure):
            self.failed_in_a_row += 1
            if self.endpoint.stop_after is not None and self.failed_in_a_row >= self.endpoint.stop_after:
                raise UserError(
                    f"{self.failed_in_a_row} requests in a row to {self._where} have failed ({reply.reason}): see to "
                    "the server and run again; what it has answered is kept"
                )
            return reply
        self.failed_in_a_row = 0
        _reached.add((self.endpoint.base_url, self.endpoint.model))
        counted = reply.get("usage")
        used = _used[self.endpoint.model]
        used["asked"] += 1
        for name in ("prompt_tokens", "completion_tokens"):
            tokens = counted.get(name) if isinstance(counted, dict) else None
            used[name] += tokens if isinstance(tokens, int) and 0 <= tokens < 1 << 40 else 0
        self.answers.put(key, self.endpoint.model, json.dumps(reply, ensure_ascii=False))
        return reply

    async def _post(self, request: Request) -> Reply | Failure:
        import openai

        where = self.endpoint
        chat = request.path == "chat/completions"
        to, name = (self.client.chat.completions, "messages") if chat else (self.client.completions, "prompt")
        sent = {key: value for key, value in {**request.body, **request.extras}.items() if key not in where.refuses}
        sent = {where.limit if key == "max_tokens" else key: value for key, value in sent.items()}
        try:
            # The package bounds the wait for the next byte alone, not the whole.
            async with asyncio.timeout(where.timeout * (1 + where.retries) + PAUSE * where.retries):
                raw = await to.with_raw_response.create(
                    model=where.model, extra_body={k: v for k, v in sent.items() if k != name}, **{name: sent[name]}
                )
            reply = self._cleaned(json.loads(raw.http_response.text))
        except (TimeoutError, openai.APITimeoutError):
            return Failure(reason=f"no answer within {where.timeout:g} s")
        except openai.APIConnectionError:
            if has_answered(where):
                return Failure(reason="the connection broke")
            raise UserError(f"cannot reach {self._where}: start the server, or set base_url") from None
        except openai.APIStatusError as fault:
            # Never chained, and never shown as it is: a server may repeat the key in what it says.
            status, said = fault.status_code, _message(self._clean(fault.response.text))
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
        text = self._clean(json.dumps(reply, ensure_ascii=False))
        return json.loads(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace"))

    @property
    def _where(self) -> str:
        return f"{self.endpoint.model} at {self.endpoint.base_url}"


def _message(text: str) -> str:
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
