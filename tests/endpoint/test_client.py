"""The client against a real server that misbehaves."""

from __future__ import annotations

import json
import logging
import socket
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from model_server import Dies, Fails, Hangs, ModelServer, Raw, Received, Says, Trickles, model_server, says

from hneuro.endpoint.chat import ChatClient, Said, converse
from hneuro.endpoint.client import Endpoint, Failure, usage
from hneuro.records import UserError

SECRET = "sk-not-for-anybody-0123456789"


def endpoint(server: ModelServer, folder: Path | None = None, **fields: Any) -> Endpoint:
    settings: dict[str, Any] = {"model": "served", "timeout": 5.0, "retries": 1, "concurrency": 4}
    cache = str(folder / "answers.sqlite") if folder else None
    return Endpoint(base_url=server.url, cache=cache, **settings | fields)


def prompts(*texts: str) -> list[list[dict[str, str]]]:
    return [[{"role": "user", "content": text}] for text in texts]


def words(one: Received) -> str:
    return str(one.body["messages"][-1]["content"])


def echo(one: Received, before: int) -> Says:
    return says(f"you said {words(one)}")


def test_replies_come_in_order_and_the_same_question_is_asked_once(tmp_path: Path) -> None:
    with model_server(echo) as server:
        said = converse(endpoint(server, tmp_path, model="counted"), prompts("a", "b", "a", "c"), 50, "asking")
        assert said == tuple(Said(text=f"you said {t}", whole=True) for t in "abac")
        assert sorted(words(one) for one in server.received) == ["a", "b", "c"]
        body = server.bodies()[0]
        assert (body["model"], body["temperature"], body["max_tokens"]) == ("counted", 0, 50)
        converse(endpoint(server, tmp_path, model="counted"), prompts("c", "d"), 50, "asking")
        assert len(server.received) == 4
        assert any("4 requests answered" in line and "40 tokens read" in line for line in usage())


def test_what_is_asked_names_the_answer_and_how_it_is_asked_does_not(tmp_path: Path) -> None:
    with model_server(echo) as server:
        setup = endpoint(server, tmp_path)
        for same in (setup, replace(setup, concurrency=1, timeout=9.0, again=3)):
            converse(same, prompts("a"), 50, "asking")
        assert len(server.received) == 1
        for other, limit in ((replace(setup, model="larger"), 50), (replace(setup, revision="2"), 50), (setup, 60)):
            converse(other, prompts("a"), limit, "asking")
        assert len(server.received) == 4


@pytest.mark.parametrize(
    ("first", "pause"),
    [
        (Fails(status=429, headers={"Retry-After": "1.2"}), 1.2),
        (Hangs(30), 0.5),
    ],
    ids=["429", "hangs"],
)
def test_a_request_that_fails_is_tried_again_after_a_pause(first: Any, pause: float) -> None:
    def answer(one: Received, before: int) -> Any:
        return echo(one, 0) if before else first

    with model_server(answer) as server:
        (said,) = converse(endpoint(server, timeout=0.6), prompts("a"), 50, "asking")
        assert said == Said(text="you said a", whole=True)
        early, late = (one.at for one in server.received)
        assert late - early >= pause


@pytest.mark.parametrize(
    ("always", "kind"),
    [
        (Fails(status=500), "a server error"),
        (Dies(), "cannot reach"),
        (Hangs(30), "no answer within 0.3 s"),
        (Raw("<html>"), "a reply that is no JSON"),
        (Says(choices=()), "a reply without a message"),
        (says(""), "an empty reply"),
    ],
    ids=["500", "dies", "hangs", "no json", "no choice", "no text"],
)
def test_what_always_fails_is_a_failure_with_its_kind_and_is_asked_again_another_time(
    always: Any, kind: str, tmp_path: Path
) -> None:
    def answer(one: Received, before: int) -> Any:
        return always if words(one) == "bad" else echo(one, 0)

    with model_server(answer) as server:
        setup = endpoint(server, tmp_path, timeout=0.3, stop_after=None)
        good, bad = converse(setup, prompts("good", "bad"), 50, "asking")
        assert good == Said(text="you said good", whole=True)
        assert isinstance(bad, Failure)
        kind = "the connection broke" if kind == "cannot reach" else kind
        assert bad.reason.partition(":")[0] == kind


def test_a_reply_that_trickles_takes_no_longer_than_all_attempts_may() -> None:
    with model_server(lambda *_: Trickles()) as server:
        (said,) = converse(endpoint(server, timeout=0.3, retries=0, stop_after=None), prompts("a"), 50, "asking")
    assert said == Failure(reason="no answer within 0.3 s")


@pytest.mark.parametrize("always", [Fails(status=500), Raw("<html>")])
def test_a_failure_of_the_server_is_no_result(always: Any, tmp_path: Path) -> None:
    """However few requests there are: what was answered is kept, and the next run asks the others."""
    with model_server(lambda one, _: always if words(one) == "bad" else echo(one, 0)) as server:
        setup = endpoint(server, tmp_path, timeout=2.0, retries=0)
        with pytest.raises(UserError, match=r"1 of 2 requests to served at .* run again; what it has answered is kept"):
            converse(setup, prompts("good", "bad"), 50, "asking")
        server.answer = echo
        assert all(isinstance(one, Said) for one in converse(setup, prompts("good", "bad"), 50, "asking"))
        assert [words(one) for one in server.received].count("good") == 1


def test_a_reply_that_was_cut_off_says_so_and_thoughts_are_left_out() -> None:
    def answer(one: Received, before: int) -> Says:
        return says("half an ans", finish="length") if words(one) == "long" else says("<think>hm\n</think>\n\nyes")

    with model_server(answer) as server:
        client = ChatClient(endpoint=endpoint(server))
        long, short = client.ask(prompts("long", "short"))
        assert short == "yes"
        assert isinstance(long, Failure)
        assert long.reason == "a reply that was cut off: 'half an ans'"


def test_fields_that_the_server_does_not_take_are_not_sent_and_the_limit_has_its_name() -> None:
    with model_server(echo) as server:
        setup = endpoint(server, refuses=("response_format",), limit="max_completion_tokens")
        converse(setup, prompts("a"), 50, "asking", {"response_format": {}, "top_k": 5})
        assert {"response_format", "max_tokens"}.isdisjoint(server.bodies()[0])
        assert (server.bodies()[0]["max_completion_tokens"], server.bodies()[0]["top_k"]) == (50, 5)


def test_a_server_that_refuses_all_it_is_asked_stops_the_run() -> None:
    """However few requests there are: they would all be unjudged, and stored as such."""
    said = Fails(status=400, body='{"error": "use max_completion_tokens"}')
    with (
        model_server(lambda *_: said) as server,
        pytest.raises(UserError, match=r"use max_completion.* endpoint\.limit"),
    ):
        converse(endpoint(server, retries=0), prompts("a", "b"), 50, "asking")


def test_what_the_server_refuses_of_one_item_is_its_failure_alone() -> None:
    def answer(one: Received, before: int) -> Any:
        return Fails(status=400, body='{"detail": "too long"}') if words(one) == "long" else echo(one, 0)

    with model_server(answer) as server:
        first, second = converse(endpoint(server), prompts("long", "a"), 50, "asking")
    assert first == Failure(reason="refused by the server: status 400, too long", status=400)
    assert isinstance(second, Said)


def test_a_server_that_dies_for_good_stops_the_run_and_nothing_is_asked_twice(tmp_path: Path) -> None:
    alive = [True]

    def answer(one: Received, before: int) -> Any:
        return echo(one, 0) if alive[0] and words(one) < "e" else Fails(status=500)

    with model_server(answer) as server:
        setup = endpoint(server, tmp_path, concurrency=1, retries=0, stop_after=3)
        with pytest.raises(
            UserError, match=r"3 requests in a row to served at .* run again; what it has answered is kept"
        ):
            converse(setup, prompts(*"abcdefghij"), 50, "asking")
        assert len(server.received) == 4 + 3
        server.answer = echo
        assert all(isinstance(one, Said) for one in converse(setup, prompts(*"abcdefghij"), 50, "asking"))
        assert sorted(words(one) for one in server.received[7:]) == list("efghij")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("always", "fields", "says_"),
    [
        (Fails(status=401), {}, "refuses the API key (status 401): name the variable with its key in api_key_env"),
        (Fails(status=403), {"api_key_env": "SOME_KEY"}, "check the environment variable SOME_KEY"),
        (Fails(status=404, body='{"error": {"message": "no model served"}}'), {}, "(status 404: no model served)"),
    ],
    ids=["401", "403", "404"],
)
def test_what_the_user_can_put_right_is_one_line(
    always: Any, fields: dict[str, Any], says_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)
    with model_server(lambda one, before: always) as server, pytest.raises(UserError) as fault:
        converse(endpoint(server, **fields), prompts("a", "b"), 50, "asking")
    assert says_ in str(fault.value)
    assert "\n" not in str(fault.value)


def test_a_server_that_is_not_there_is_said_at_once() -> None:
    with model_server(echo) as server:
        nowhere = replace(endpoint(server, retries=0), base_url=f"http://127.0.0.1:{unused_port()}/v1")
        with pytest.raises(UserError, match=r"cannot reach served at http://127\.0\.0\.1:\d+/v1: start the server"):
            converse(nowhere, prompts("a"), 50, "asking")


def test_a_key_that_is_not_set_and_a_package_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(UserError, match="set the environment variable SOME_KEY"):
        Endpoint(model="m", api_key_env="SOME_KEY").check()
    monkeypatch.setenv("SOME_KEY", "“quoted”")
    with pytest.raises(UserError, match="SOME_KEY holds characters that no API key has"):
        Endpoint(model="m", api_key_env="SOME_KEY").check()
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(UserError, match=r"pip install 'hneuro\[endpoint\]'"):
        Endpoint(model="m").check()


@pytest.mark.parametrize(
    ("fields", "says_"),
    [
        ({"model": " "}, "model must name"),
        ({"base_url": "127.0.0.1:8000"}, "base_url must begin with http"),
        ({"base_url": "https://host/v1?key=hunter2"}, "base_url must hold no secret"),
        ({"api_key_env": "sk-hunter2"}, "must be the NAME of an environment variable"),
        ({"timeout": 0}, "timeout above 0"),
        ({"stop_after": 0}, "stop_after must be at least 1, or null"),
    ],
)
def test_settings_that_cannot_be(fields: dict[str, Any], says_: str) -> None:
    with pytest.raises(ValueError, match=says_) as fault:
        Endpoint(**{"model": "m", **fields})
    assert "hunter2" not in str(fault.value)


def test_a_cache_that_is_none_or_cannot_be_written_is_said_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "answers.sqlite").write_bytes(b"no database at all" * 100)
    with model_server(echo) as server:
        with pytest.raises(
            UserError, match=r"answers\.sqlite cannot be used \(file is not a database\): choose another"
        ):
            converse(endpoint(server, tmp_path), prompts("a"), 50, "asking")
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match="choose another file as cache"):
            converse(endpoint(server, tmp_path / "file"), prompts("a"), 50, "asking")
    assert not server.received


def test_the_key_is_sent_and_stands_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)

    def answer(one: Received, before: int) -> Any:
        leak = json.dumps(dict(one.headers))
        if words(one) == "escaped":
            escaped = "".join(f"\\u{ord(c):04x}" for c in SECRET)
            return Raw('{"choices": [{"message": {"content": "KEY"}}]}'.replace("KEY", escaped))
        if words(one) == "refused":
            return Fails(status=413, body=json.dumps({"error": {"message": leak}}))
        return Fails(status=500, body=leak) if words(one) == "failed" and not before else says(leak)

    with model_server(answer) as server, caplog.at_level(logging.DEBUG):
        setup = endpoint(server, tmp_path, api_key_env="SOME_KEY")
        said = converse(setup, prompts("a", "failed", "refused", "escaped"), 50, "asking")
        assert server.received[0].headers["authorization"] == f"Bearer {SECRET}"
    rows = sqlite3.connect(tmp_path / "answers.sqlite")
    everything = [repr(said), caplog.text, repr(setup), *rows.iterdump(), *usage()]
    rows.close()
    assert any("[API key]" in text for text in everything)
    for text in everything:
        assert SECRET not in text


@pytest.mark.parametrize("shift", [0, 14, 35])
def test_no_part_of_the_key_is_left_where_a_message_is_cut(shift: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", SECRET)
    said = Fails(status=413, body=json.dumps({"error": {"message": "x" * (260 + shift) + SECRET}}))
    with model_server(lambda one, before: said) as server:
        (failed,) = converse(endpoint(server, api_key_env="SOME_KEY"), prompts("a"), 50, "asking")
    assert isinstance(failed, Failure)
    assert "sk-" not in failed.reason


def test_without_a_key_no_other_service_s_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with model_server(echo) as server:
        converse(endpoint(server), prompts("a"), 50, "asking")
        assert SECRET not in json.dumps(dict(server.received[0].headers))
