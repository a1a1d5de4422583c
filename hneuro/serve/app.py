"""The HTTP side: routes, who may use them, and how replies and errors are sent."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hneuro.serve.asked import Chat, Completion, Refused, ToLabel, ToScore, parsed
from hneuro.serve.growing import Piece
from hneuro.serve.page import HEADERS, PAGE
from hneuro.serve.policy import held_out, policies
from hneuro.serve.replies import NOTICES, Json, Shape, of_judged, usage
from hneuro.serve.service import Exchange, Service

LOCAL = ("127.0.0.1", "localhost", "[::1]")
OPEN = ("/", "/health")  # without a token: the page asks for it


def application(service: Service, token: str | None) -> FastAPI:
    """Without a `token` it answers to local names only, so that no page of another site reaches it by its own name."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(Refused)
    async def refused(_: Request, fault: Refused) -> Response:
        return _error(fault)

    @app.exception_handler(HTTPException)
    async def other(_: Request, fault: HTTPException) -> Response:
        return _error(Refused(fault.status_code, str(fault.detail)))

    @app.get("/")
    async def page() -> Response:
        return HTMLResponse(PAGE, headers=HEADERS)

    @app.get("/health")
    async def health() -> Json:
        running, waiting = service.engine.load
        return {"status": "ok", "model": service.name, "promise": service.limit.promise} | {
            "running": running,
            "waiting": waiting,
            "needs_token": token is not None,
            "alpha": service.limits.alpha,
            "steering": service.limits.steering,
        }

    @app.get("/calibration")
    async def calibration() -> Json:
        named = {"this server": service.policy} | policies()
        return await asyncio.to_thread(held_out, service.detector, named)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models")
    async def models() -> Json:
        return {"object": "list", "data": [{"id": service.name, "object": "model", "created": 0, "owned_by": "hneuro"}]}

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await _reply(service, request, parsed(Chat, await _body(service, request)))

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await _reply(service, request, parsed(Completion, await _body(service, request)))

    @app.post("/v1/score")
    async def score(request: Request) -> Json:
        return await service.score(parsed(ToScore, await _body(service, request)))

    _add_queue(app, service)
    app.add_middleware(_Guarded, service=service, token=token)
    return app


def _add_queue(app: FastAPI, service: Service) -> None:
    """Answers that wait for a person."""

    @app.get("/queue")
    async def queue() -> list[Json]:
        return await asyncio.to_thread(service.queue.rows, labelled=False)

    @app.get("/queue/labels")
    async def labels() -> Response:
        rows = await asyncio.to_thread(service.queue.labels)
        return Response("".join(json.dumps(row) + "\n" for row in rows), media_type="application/jsonl")

    @app.post("/queue/{number}")
    async def label(number: int, request: Request) -> Json:
        asked = parsed(ToLabel, await _body(service, request))
        if not await asyncio.to_thread(service.queue.label, number, asked.label):
            raise Refused(404, f"there is no answer {number} in the queue")
        return {"number": number, "label": asked.label}


class _Guarded:
    """Who may not ask is refused before anything is read, and every reply is counted.

    No BaseHTTPMiddleware, which does not let a stream know that its reader has gone.
    """

    def __init__(self, app: ASGIApp, service: Service, token: str | None) -> None:
        self._app, self._service, self._token = app, service, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "other")
                self._service.metrics.requests.labels(route, message["status"]).inc()
            await send(message)

        refused = _refusal(Request(scope), self._token)
        await (_error(refused) if refused else self._app)(scope, receive, counted)


def _refusal(request: Request, token: str | None) -> Refused | None:
    """Why this client may not ask at all."""
    if token is None:
        host = request.headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return None if name in LOCAL else Refused(421, "this server answers to 127.0.0.1 and localhost only")
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if request.url.path in OPEN or secrets.compare_digest(given.encode(), token.encode()):
        return None
    return Refused(401, "a token is needed: Authorization: Bearer TOKEN", code="invalid_api_key")


def _error(fault: Refused) -> JSONResponse:
    headers = {} if fault.retry is None else {"Retry-After": str(fault.retry)}
    return JSONResponse(fault.body, fault.status, headers)


async def _body(service: Service, request: Request) -> bytes:
    """JSON alone, which no form of another site can send unasked; of limited size, within limited time."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "the body must be application/json")
    content, most = bytearray(), service.limits.body
    try:
        async with asyncio.timeout(service.limits.patience):
            async for part in request.stream():
                content += part
                if len(content) > most:
                    raise Refused(413, f"the body is larger than {most:,} bytes")
    except TimeoutError as fault:
        raise Refused(408, "the body did not arrive in time") from fault
    return bytes(content)


async def _reply(service: Service, request: Request, asked: Chat | Completion) -> Response:
    exchange = await service.ask(asked)
    chat = isinstance(asked, Chat)
    shape = Shape(chat=chat, model=service.name, text_of=service.detector.model.language_model.text_of)
    with_logprobs = bool(asked.logprobs) if chat else asked.logprobs is not None
    if asked.stream:
        counted = bool(asked.stream_options and asked.stream_options.include_usage)
        return _Stream(service, exchange, _streamed(service, exchange, shape, with_logprobs, counted))
    work = asyncio.create_task(_whole(service, exchange, shape, with_logprobs))
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        return JSONResponse(await work if work.done() else {})
    finally:
        gone.cancel()
        work.cancel()
        service.engine.cancel(exchange.ticket)


async def _gone(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.25)


async def _whole(service: Service, exchange: Exchange, shape: Shape, with_logprobs: bool) -> Json:
    choices = dict[int, Json]()
    async for event in _timed(service, exchange):
        if isinstance(event, Piece):
            continue
        found, turn = await service.answered(exchange, event), exchange.ticket.turns[event]
        notice = NOTICES.get(found.decision.action)
        logprobs = shape.logprobs(turn, 0, len(turn.token_ids)) if with_logprobs and notice is None else None
        choices[event] = shape.choice(event, notice or found.content, found.finish, logprobs, found.hneuro)
    return shape.whole([choices[n] for n in sorted(choices)], usage(exchange.ticket.turns))


async def _streamed(
    service: Service, exchange: Exchange, shape: Shape, with_logprobs: bool, counted: bool
) -> AsyncIterator[str]:
    """Server-sent events. Nothing of an answer that may be withheld goes out before it is decided."""
    withholds = service.policy.withholds
    turns, kept = exchange.ticket.turns, dict[int, list[Json]]()
    try:
        if shape.chat:
            for n in range(len(turns)):
                yield _event(shape.chunk([shape.opening(n)]))
        async for event in _timed(service, exchange):
            if isinstance(event, Piece):
                said, judged, logprobs = event.said, event.judged, None
                if said and with_logprobs:
                    logprobs = shape.logprobs(turns[event.choice], said.start, said.stop)
                risk = judged and of_judged(judged, service.limit, exchange.unchecked)
                text = said.text if said else None
                chunk = shape.chunk([shape.delta(event.choice, text, logprobs=logprobs, hneuro=risk)])
                if withholds:
                    kept.setdefault(event.choice, []).append(chunk)
                else:
                    yield _event(chunk)
                continue
            found = await service.answered(exchange, event)
            notice = NOTICES.get(found.decision.action)
            for chunk in [shape.chunk([shape.delta(event, notice)])] if notice else kept.pop(event, []):
                yield _event(chunk)
            yield _event(shape.chunk([shape.delta(event, None, found.finish, hneuro=found.hneuro)]))
        if counted:
            yield _event(shape.chunk([], usage=usage(turns)))
        yield "data: [DONE]\n\n"
    except Refused as fault:
        yield _event(fault.body)


class _Stream(StreamingResponse):
    """Ends what it streams when its reader leaves: a generator alone would end when it is collected."""

    def __init__(self, service: Service, exchange: Exchange, events: AsyncIterator[str]) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        self._service, self._exchange = service, exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._service.engine.cancel(self._exchange.ticket)


async def _timed(service: Service, exchange: Exchange) -> AsyncIterator[Piece | int]:
    """The events of an exchange, and how long they take, for the metrics."""
    asked, last = time.perf_counter(), dict[int, float]()  # the last piece of each choice
    async for event in service.pieces(exchange):
        if isinstance(event, Piece) and event.said:
            now = time.perf_counter()
            if event.choice in last:
                service.metrics.between.observe(now - last[event.choice])
            else:
                service.metrics.first.observe(now - asked)
            last[event.choice] = now
        yield event


def _event(content: Any) -> str:
    return f"data: {json.dumps(content, allow_nan=False)}\n\n"
