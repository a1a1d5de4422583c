"""A model copies the answer; we find where it stands."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hneuro.endpoint.client import Failure
from hneuro.records import Question, Response
from hneuro.spans.llm import LlmLocator, Messages

PROMPT = "Q: {question}\nR: {response}\nCopy, or say {none}:"


@dataclass(frozen=True)
class Canned:
    """Gives its replies in order, and remembers what it was asked."""

    replies: tuple[str | Failure, ...]
    asked: list[Messages] = field(default_factory=list)

    def check(self) -> None:
        pass

    def ask(self, prompts: Sequence[Messages]) -> Sequence[str | Failure]:
        begin = len(self.asked)
        self.asked.extend(prompts)
        return self.replies[begin : begin + len(prompts)]


def llm(*replies: str | Failure, **options: Any) -> LlmLocator:
    return LlmLocator(client=Canned(replies), **{"prompt": PROMPT, **options})


def asked(locator: LlmLocator) -> list[Messages]:
    assert isinstance(locator.client, Canned)
    return locator.client.asked


@pytest.mark.parametrize(
    ("said", "copied", "found"),
    [
        ("I believe it is Paris, in France.", "Paris", "Paris"),
        ("Eugene O’Neill.", "Eugene O'Neill", "Eugene O’Neill"),
        ("It is d’Artagnan", "`d`Artagnan`", "d’Artagnan"),
        ("“Hamlet”, of course", '"Hamlet"', "“Hamlet”"),
        ("It is HAMLET!", "Hamlet.", "HAMLET"),
        ("Beyonce\u0301 sang", "Beyoncé", "Beyonce\u0301"),
        ("It is Washington, DC", "Washington DC", "Washington, DC"),
        ("It is O'Neill, I say", "['O', \"'\", 'Neill']", "O'Neill"),  # a printed list is a text like any other
        ("None of them", "None", "None"),  # an answer, unlike the word for no answer
    ],
)
def test_a_copy_is_found_as_text(said: str, copied: str, found: str, ask: Any) -> None:
    span = ask(llm(copied), said)
    assert (span.text, span.method) == (found, "llm")
    assert found.strip(" .“”") in ask.shown(span, said)


@settings(max_examples=150, deadline=None)
@given(
    before=st.text(st.characters(codec="utf-8"), max_size=10),
    answer=st.text(st.characters(codec="utf-8", categories=("L", "N", "M", "P")), min_size=1, max_size=12),
    after=st.text(st.characters(codec="utf-8"), max_size=10),
)
def test_a_word_for_word_copy_is_found_in_any_text(before: str, answer: str, after: str, bytes_speaker: Any) -> None:
    answer = answer.strip(" \t\r\n\"'“”‘’`.*_!;,…。．！；，、")
    text = f"{before} {answer} {after}"
    response = bytes_speaker.response(text)
    if not answer or response.text != text:
        return
    (span,) = llm(answer).locate(
        [(Question(id="q", dataset="d", text="?", answers=(), entity="e"), response)], bytes_speaker.decode
    )
    assert span.reason == ""
    assert span.text == answer
    assert answer in bytes_speaker.decode([response.token_ids[n] for n in span.tokens])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("NONE", "the model sees no answer"),
        (' "NONE". ', "the model sees no answer"),
        ("", "the model replied nothing"),
        ("London", "the copied text is not in the response"),
        (Failure(reason="the server gave up"), "the server gave up"),
    ],
)
def test_what_the_model_does_not_do_is_counted(reply: str | Failure, reason: str, ask: Any) -> None:
    assert ask(llm(reply, attempts=1), "It is Paris").reason == reason


def test_a_copy_that_is_not_there_is_asked_for_once_more(ask: Any) -> None:
    locator = llm("London", "Paris")
    assert ask(locator, "It is Paris").text == "Paris"
    first, second = asked(locator)
    assert second[: len(first)] == first
    assert [message["role"] for message in second] == ["user", "assistant", "user"]
    assert second[1]["content"] == "London"
    stubborn = llm("London", "Rome", "Paris")
    assert ask(stubborn, "It is Paris").reason == "the copied text is not in the response"
    assert len(asked(stubborn)) == 2


def test_only_copies_that_are_not_there_are_asked_for_again(
    bytes_speaker: Any, make_response: Callable[..., Response]
) -> None:
    said = ["It is Paris", "It is Rome", "It is Oslo", "Nothing"]
    items = [
        (Question(id="q", dataset="d", text=f"{n}?", answers=(), entity="e"), bytes_speaker.response(text))
        for n, text in enumerate(said)
    ]
    locator = llm("Paris", "London", Failure(reason="too late"), "NONE", "Rome")
    spans = locator.locate(items, bytes_speaker.decode)
    assert [span.text or span.reason for span in spans] == ["Paris", "Rome", "too late", "the model sees no answer"]
    assert [messages[0]["content"][:5] for messages in asked(locator)] == ["Q: 0?", "Q: 1?", "Q: 2?", "Q: 3?", "Q: 1?"]
    assert llm().locate([], bytes_speaker.decode) == ()


def test_the_prompt_has_question_and_response_whatever_they_say(ask: Any) -> None:
    locator = llm("x {question}")
    assert ask(locator, "x {question} {none}\n", text="What is {response}?").text == "x {question}"
    assert asked(locator)[0][0]["content"] == ("Q: What is {response}?\nR: x {question} {none}\nCopy, or say NONE:")


def test_the_occurrence_is_a_setting(ask: Any) -> None:
    said = "Paris, I say Paris"
    spans = {o: ask(llm("Paris", occurrence=o), said) for o in ("first", "last", "all")}
    assert spans["first"].tokens < spans["last"].tokens
    assert spans["all"].tokens == spans["first"].tokens + spans["last"].tokens


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"prompt": "Copy from {response}"}, "prompt must contain {question}"),
        ({"none": " "}, "none must not be empty"),
        ({"attempts": 0}, "attempts must be at least 1"),
    ],
)
def test_impossible_settings_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        llm(**options)
