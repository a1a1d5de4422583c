"""Answer tokens from files, aligned as text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hneuro.records import UserError
from hneuro.spans.recorded import RecordedLocator, align

Write = Callable[..., RecordedLocator]


@pytest.fixture
def recorded(tmp_path: Path) -> Write:
    def write(said: str | list[str], tokens: Any, **options: Any) -> RecordedLocator:
        each = [(said, tokens)] if isinstance(said, str) else zip(said, tokens, strict=True)
        rows = [{"question_id": "q", "text": text, "answer_tokens": own} for text, own in each]
        (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        return RecordedLocator(path=str(tmp_path / "r.jsonl"), **options)

    return write


@pytest.mark.parametrize(
    ("said", "tokens", "found"),
    [
        ("The Naked Civil Servant", ["The", "▁Naked", "▁Civil", "▁Servant"], "The Naked Civil Servant"),
        ("Gone with the Wind", ["G", "one", "Ġwith", "Ġthe", "ĠWind"], "Gone with the Wind"),
        ("It is Beyoncé", ["Bey", "onc", "Ã©"], "Beyoncé"),
        ("東京 is it", ["æĿ±", "äº¬"], "東京"),
        ("東京 is it", ["<0xE6>", "<0x9D>", "<0xB1>", "京"], "東京"),
        ("an embedding of words", ["em", "##bed", "##ding", "of"], "embedding of"),
        ("Eugene O’Neill", ["Eugene", " O", "'", "Neill"], "Eugene O’Neill"),
        # With gaps.
        ("White Nile and Blue Nile", ["White", " Nile", " Blue", " Nile"], "White Nile Blue Nile"),
        ("Lucinda Russell \nKatie Walsh", ["Lucinda", "▁Russell", "Katie", "▁Walsh"], "Lucinda Russell Katie Walsh"),
        ("1979: Terry\n1980: Earl", [" Terry", "\n", " Earl"], "Terry Earl"),
        ("a x a b y a z", ["a", " b", " z"], "a b z"),
    ],
)
def test_token_strings_of_any_kind_are_found_as_text(
    said: str, tokens: list[str], found: str, recorded: Write, ask: Any
) -> None:
    span = ask(recorded(said, tokens), said)
    assert (span.text, span.method) == (found, "recorded")
    assert re.sub(r"\s", "", ask.shown(span, said)) == re.sub(r"\s", "", found)


@pytest.mark.parametrize("tokens", [["Blue", " Nile", " White"], ["London"], ["White", " Nile", " and", " Red"]])
def test_what_does_not_stand_there_in_this_order_is_counted(tokens: list[str], recorded: Write, ask: Any) -> None:
    span = ask(recorded("White Nile and Blue Nile", tokens), "White Nile and Blue Nile")
    assert span.reason == "the recorded tokens are not in the response"


def test_tokens_belong_to_their_own_response(recorded: Write, ask: Any) -> None:
    locator = recorded(["It is Paris", "Rome"], [["Paris"], ["Rome"]])
    assert ask(locator, "It is Paris\n").text == "Paris"  # blanks at the end are no other response
    assert ask(locator, "Rome").text == "Rome"
    assert ask(locator, "It is Rome").reason == "the file does not have this response"
    assert ask(recorded(["It is Paris", "Rome"], [["Paris"], None]), "Rome").reason == "the file names no answer tokens"


def test_another_question_is_counted(tmp_path: Path, ask: Any) -> None:
    (tmp_path / "r.jsonl").write_text('{"question_id": "other", "text": "x", "answer_tokens": ["x"]}')
    assert ask(RecordedLocator(path=str(tmp_path / "r.jsonl")), "x").reason == "the file does not have this question"


def test_the_occurrence_is_a_setting(recorded: Write, ask: Any) -> None:
    said = "Ed Harris and Ed Harris"
    spans = {o: ask(recorded(said, ["Ed", " Harris"], occurrence=o), said) for o in ("first", "last", "all")}
    assert spans["all"].tokens == spans["first"].tokens + spans["last"].tokens
    assert spans["all"].text == "Ed Harris Ed Harris"


def test_other_content_is_another_part(recorded: Write) -> None:
    """The store's key must say so: the path alone does not."""
    one = recorded("Paris", ["Paris"])
    other = recorded("Paris", ["Par"])
    assert one.path == other.path
    assert one != other


def test_many_repeated_tokens_do_not_take_forever() -> None:
    assert align(["a", " x"] * 20 + ["y"], "a b x " * 40, "first") == []
    assert len(align(["a", " x"] * 20, "a b x " * 40, "first")) == 40


def test_a_longest_piece_that_leads_nowhere_is_given_up() -> None:
    text = "a, then b c; and a b"
    assert [text[a:b] for a, b in align(["a", " b", " c"], text, "first")] == ["a", "b c"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ('{"question_id": "q", "text": "x", "answer_tokens": []}', "has no answer tokens"),
        ('{"question_id": "q", "text": "x", "answer_tokens": {"x": 1}}', "must be a list of texts"),
    ],
)
def test_files_that_cannot_be_used_are_refused_at_once(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(content)
    with pytest.raises((UserError, ValueError), match=re.escape(says)) as caught:
        RecordedLocator(path=str(tmp_path / "r.jsonl"))
    assert "\n" not in str(caught.value)
