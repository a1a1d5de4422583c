"""Whatever is sent, the reply is a clean 4xx or a right answer, and the server keeps serving."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from serving import made_service, serving

from hneuro.commands.serve import Wanted, serve
from hneuro.detection.live import Turn
from hneuro.detector import Detector
from hneuro.records import UserError
from hneuro.responses.decoding import Decoding
from hneuro.serve.app import application
from hneuro.serve.engine import End, Ticket
from hneuro.serve.policy import Policy
from hneuro.serve.service import Service

MESSAGES = [{"role": "user", "content": "Who?"}]
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=60) as made:
        yield made


def body(**fields: Any) -> bytes:
    given = {"messages": MESSAGES, "max_tokens": 2} | fields
    return json.dumps({name: value for name, value in given.items() if value is not ...}).encode()


BAD: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 400),
    "an alpha where none is allowed": (body(alpha=0.5), 400),
    "no JSON": (b"{", 400),
    "no object": (b"[]", 400),
    "null": (b"null", 400),
    "deep": (b"[" * 200_000, 400),
    "deep object": (b'{"a":' * 50_000, 400),
    "not UTF-8": (b'{"messages": "\xff\xfe"}', 400),
    "a huge number": (b'{"messages": [{"role": "user", "content": "?"}], "seed": ' + b"9" * 5000 + b"}", 400),
    "too large": (b'{"x": "' + b"a" * (2 << 20) + b'"}', 413),
    "no messages": (body(messages=...), 400),
    "empty messages": (body(messages=[]), 400),
    "messages as text": (body(messages="Who?"), 400),
    "a message without role": (body(messages=[{"content": "?"}]), 400),
    "another role": (body(messages=[{"role": "tool", "content": "?"}]), 400),
    "empty content": (body(messages=[{"role": "user", "content": ""}]), 400),
    "content of null": (body(messages=[{"role": "user", "content": None}]), 400),
    "an image": (body(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]), 400),
    "ends with the assistant": (body(messages=[*MESSAGES, {"role": "assistant", "content": "Ann"}]), 400),
    "lone surrogates": (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', 400),
    "a field of surrogates": (b'{"messages": [{"role": "user", "content": "?"}], "\\ud800": 1}', 400),
    "a prompt beyond the context": (body(messages=[{"role": "user", "content": "ab " * 4000}]), 400),
    "n of 0": (body(n=0), 400),
    "n too large": (body(n=1000), 400),
    "n as text": (body(n="2"), 400),
    "n as truth": (body(n=True), 400),
    "max_tokens of -1": (body(max_tokens=-1), 400),
    "max_tokens too large": (body(max_tokens=10**9), 400),
    "max_tokens of 1e400": (body(max_tokens=...)[:-1] + b', "max_tokens": 1e400}', 400),
    "temperature NaN": (body(temperature=float("nan")), 400),
    "temperature infinite": (body(temperature=float("inf")), 400),
    "temperature of 3": (body(temperature=3), 400),
    "temperature as text": (body(temperature="hot"), 400),
    "top_p of 0": (body(top_p=0), 400),
    "seed as float": (body(seed=1.5), 400),
    "stop of nothing": (body(stop=""), 400),
    "five stops": (body(stop=["a"] * 5), 400),
    "a long stop": (body(stop="a" * 201), 400),
    "stop as number": (body(stop=[1]), 400),
    "top_logprobs alone": (body(top_logprobs=2), 400),
    "too many top_logprobs": (body(logprobs=True, top_logprobs=21), 400),
    "tools": (body(tools=[]), 400),
    "JSON mode": (body(response_format={"type": "json_object"}), 400),
    "a penalty": (body(presence_penalty=0.5), 400),
    "a bias": (body(logit_bias={"5": 10}), 400),
    "stream as text": (body(stream="yes"), 400),
    "another model": (body(model="../../etc/passwd"), 404),
}
GOOD: dict[str, bytes] = {
    "HTML": body(messages=[{"role": "user", "content": "<script>alert(1)</script>"}]),
    "all of Unicode": body(messages=[{"role": "user", "content": "\u0000\u202e\ufeff\ud83d\ude42é\u0301\U0010ffff"}]),
    "marks of turns": body(messages=[{"role": "user", "content": "<end><assistant><user>"}]),
    "a seed of many digits": body(seed=10**300),
    "a negative seed": body(seed=-1),
    "whole numbers": body(temperature=0, top_p=1),
    "nulls": body(stop=None, seed=None, n=None, temperature=None, logprobs=None, user=None),
    "a replaced character as stop": body(stop="\ufffd"),
    "neutral fields": body(presence_penalty=0, frequency_penalty=0, logit_bias={}, user="me"),
    "twice the same field": body()[:-1] + b', "max_tokens": 1}',
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_answered_is_refused_in_one_line(name: str, client: httpx.Client) -> None:
    content, status = BAD[name]
    reply = client.post("/v1/chat/completions", content=content, headers=JSON)
    assert reply.status_code == status, reply.text
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert 0 < len(error["message"]) < 300
    assert "\n" not in error["message"]


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_answered_is(name: str, client: httpx.Client) -> None:
    reply = client.post("/v1/chat/completions", content=GOOD[name], headers=JSON)
    assert reply.status_code == 200, reply.text
    choice = reply.json()["choices"][0]
    assert choice["hneuro"]["state"] in ("checked", "unchecked")
    assert choice["finish_reason"] in ("stop", "length")


def test_other_ways_in_are_closed(client: httpx.Client) -> None:
    asked = "/v1/chat/completions"
    assert client.post(asked, content=body(), headers={"Content-Type": "text/plain"}).status_code == 415
    assert client.post(asked, data={"messages": "x"}).status_code == 415
    assert client.get(asked).status_code == 405
    assert client.get("/v1/none").json()["error"]["type"] == "invalid_request_error"
    assert client.get("/../../etc/passwd").status_code == 404
    assert client.get("/health", headers={"Host": "evil.example:80"}).status_code == 421
    reply = client.get("/health", headers={"Origin": "https://evil.example"})
    assert not [name for name in reply.headers if name.startswith("access-control")]
    assert client.post("/v1/score", json={"question": "?", "answer": ""}).status_code == 400
    assert client.post("/v1/completions", json={"prompt": ["a"]}).status_code == 400
    assert client.post("/v1/completions", json={"prompt": ""}).status_code == 400
    assert client.post("/queue/1", json={"label": "good"}).status_code == 400
    assert client.post("/queue/99999", json={"label": "wrong"}).status_code == 404
    assert client.post("/queue/x", json={"label": "wrong"}).status_code in (404, 422)


def raw(url: str, sent: bytes) -> socket.socket:
    place = urlsplit(url)
    link = socket.create_connection((place.hostname, place.port), timeout=30)
    link.sendall(sent)
    return link


def head(length: int) -> bytes:
    first = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json"
    return f"{first}\r\nContent-Length: {length}\r\n\r\n".encode()


def test_a_slow_reader_keeps_nobody_waiting(url: str, client: httpx.Client) -> None:
    content = body(stream=True, max_tokens=200)
    links = [raw(url, head(len(content)) + content) for _ in range(4)]
    started = time.perf_counter()
    assert client.post("/v1/chat/completions", content=body(), headers=JSON).status_code == 200
    assert time.perf_counter() - started < 20
    received = b""
    while b"[DONE]" not in received:
        part = links[0].recv(200)
        assert part
        received += part
    for link in links:
        link.close()


def test_a_body_that_does_not_come_is_given_up(detector: Detector, tmp_path: Path) -> None:
    with serving(made_service(detector, tmp_path, patience=0.3)) as url, raw(url, head(99) + b"{") as link:
        assert b" 408 " in link.recv(100)


def until(said: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not said():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_too_many_are_asked_to_come_back(detector: Detector, tmp_path: Path) -> None:
    service = made_service(detector, tmp_path, rows=1, waiting=1, tokens=2000)
    with serving(service) as url, httpx.Client(base_url=url, timeout=60) as client:
        long = body(stream=True, max_tokens=1900, temperature=1.0, seed=4)
        with client.stream("POST", "/v1/chat/completions", content=long, headers=JSON) as first:
            until(lambda: service.engine.load[0] == 1)
            with client.stream("POST", "/v1/chat/completions", content=long, headers=JSON) as second:
                assert (first.status_code, second.status_code) == (200, 200)
                reply = client.post("/v1/chat/completions", content=body(), headers=JSON)
                assert reply.status_code == 429
                assert int(reply.headers["Retry-After"]) >= 1
                assert reply.json()["error"]["type"] == "rate_limit_error"
        until(lambda: service.engine.load == (0, 0))
        assert client.post("/v1/chat/completions", content=body(), headers=JSON).status_code == 200


def test_whoever_leaves_is_not_computed_for(service: Service, url: str) -> None:
    with httpx.Client(base_url=url) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/v1/chat/completions", content=body(max_tokens=200, n=8), headers=JSON, timeout=0.2)
    until(lambda: service.engine.load == (0, 0))


async def _asked(service: Service, content: bytes, most: int) -> None:
    """A client that reads `most` parts of the reply and leaves."""
    taken, full = 0, asyncio.Event()
    parts = iter([{"type": "http.request", "body": content, "more_body": False}])
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"", "headers": headers}

    async def receive() -> dict[str, Any]:
        if part := next(parts, None):
            return part
        await full.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        nonlocal taken
        taken += 1
        if taken > most:
            full.set()
            await asyncio.Event().wait()

    await application(service, None)(scope, receive, send)


@pytest.mark.parametrize("most", [0, 1, 3])  # before anything was sent, at the first event, in the middle
def test_who_stops_reading_and_leaves_is_not_computed_for(most: int, detector: Detector, tmp_path: Path) -> None:
    service, tickets = made_service(detector, tmp_path), list[Ticket]()
    submit = service.engine.submit
    service.engine.submit = lambda ticket: (tickets.append(ticket), submit(ticket))[1]
    gc.collect()
    gc.disable()  # which ends generators too, sooner or later
    try:
        asyncio.run(_asked(service, body(stream=True, max_tokens=200, n=8), most))
        assert {turn.finish for turn in tickets[0].turns} == {"cancelled"}
        until(lambda: service.engine.load == (0, 0))
    finally:
        gc.enable()
        service.engine.close()


@pytest.mark.parametrize("cancelled", [True, False])
def test_an_answer_that_ends_while_it_is_read_leaves_its_place(
    cancelled: bool, detector: Detector, tmp_path: Path
) -> None:
    service = made_service(detector, tmp_path, rows=1)
    engine, prompt = service.engine, detector.model.language_model.prompt_ids("Who?")

    def ask(tell: Callable[[Any], None]) -> Ticket:
        turn = Turn(prompt_ids=prompt, decoding=Decoding(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=9))
        return Ticket(turns=[turn], stops=[] if cancelled else list("abcdefghijklmnopqrstuvwxyz <>"), tell=tell)

    first = ask(lambda _: cancelled and engine.cancel(first))
    engine.submit(first)
    until(lambda: len(first.ended) == 1)
    assert first.turns[0].finish == ("cancelled" if cancelled else "stop")
    told = list[Any]()
    engine.submit(ask(told.append))
    until(lambda: told and isinstance(told[-1], End))
    until(lambda: engine.load == (0, 0))
    engine.close()


def test_a_token_opens_what_is_closed(detector: Detector, tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    with serving(made_service(detector, tmp_path), token) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert client.get("/").status_code == client.get("/health").status_code == 200
        for path in ("/v1/models", "/metrics", "/queue", "/queue/labels"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer \xff".encode("latin-1")}).status_code == 401  # type: ignore[dict-item]
            assert client.get(path, headers={"Authorization": f"Bearer {token}"}).status_code == 200


def wanted(run_dir: Path, **fields: Any) -> Wanted:
    usual = {"host": "127.0.0.1", "port": 1, "token_env": None, "policy": "flag", "queue": None, "no_texts": False}
    usual |= {"days": 30, "rows": 4, "alpha": 1.0, "steering": False, "engine": "transformers", "tensor_parallel": 1}
    return Wanted(**{"run_dir": run_dir, **usual, **fields})


def test_others_are_let_in_by_a_token_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in ("0.0.0.0", "192.168.0.1", "example.org", "::"):
        with pytest.raises(UserError, match="lets others in: name a token by --token-env"):
            serve(wanted(tmp_path, host=host))
    monkeypatch.setenv("SHORT", "x")
    for name in ("SHORT", "UNSET"):
        with pytest.raises(UserError, match="must hold a token of at least 16 characters"):
            serve(wanted(tmp_path, host="0.0.0.0", token_env=name))
    with pytest.raises(UserError, match="has no detector"):
        serve(wanted(tmp_path))


@pytest.mark.parametrize("fields", [{"rows": 0}, {"days": 0.0}, {"days": float("nan")}, {"port": 0}, {"port": 65536}])
def test_numbers_that_cannot_be_are_one_line(fields: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--rows must be at least 1, --days above 0, and --port between"):
        serve(wanted(tmp_path, **fields))


@pytest.mark.parametrize("alpha", [-1.0, 1001.0, float("nan"), float("inf")])
def test_an_alpha_that_cannot_be_is_one_line(alpha: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--alpha must be between 0 and 1000"):
        serve(wanted(tmp_path, alpha=alpha))


def test_a_missing_extra_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [n for n in sys.modules if n.startswith(("fastapi", "hneuro.serve.app"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(UserError, match=r"pip install 'hneuro\[serve\]'"):
        serve(wanted(tmp_path, host="localhost"))


def test_a_fault_of_the_model_loses_one_batch(
    detector: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = made_service(detector, tmp_path, Policy())
    with serving(service) as url, httpx.Client(base_url=url, timeout=60) as client:
        with monkeypatch.context() as broken:
            broken.setattr(service.engine._live, "step", lambda: 1 / 0)
            reply = client.post("/v1/chat/completions", content=body(), headers=JSON)
            assert (reply.status_code, reply.json()["error"]["type"]) == (500, "server_error")
        assert client.post("/v1/chat/completions", content=body(), headers=JSON).status_code == 200
