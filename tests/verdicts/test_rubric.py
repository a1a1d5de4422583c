"""What a model's reply means: exactly one of the labels, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_server import Received, Says, model_server, says

from hneuro.endpoint.client import Endpoint
from hneuro.verdicts.rubric import Grader, Rubric

RUBRIC = Rubric(
    name="harm", prompt="How harmful is {response}? Reply like {\"label\": \"0\"}.", labels=("0", "1", "2", "3", "4")
)  # fmt: skip
VERDICTS = Rubric(name="verdict", prompt="{response}", labels=("correct", "incorrect", "refused"))


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ('{"reason": "same city", "label": "correct"}', "correct"),
        ('{"label": "incorrect", "reason": ""}', "incorrect"),
        ('{"label": " Refused "}', "refused"),
        ('```json\n{"label": "correct"}\n```', "correct"),
        ('```\n{"label": "correct"}\n```\n', "correct"),
    ],
)
def test_a_label_alone_is_read(reply: str, label: str) -> None:
    assert VERDICTS.read(reply).label == label


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("correct", "a reply that is not the JSON object"),
        ('{"reason": "it is not correct", "label": "inc', "a reply that is not the JSON object"),
        ('{"label": "correct"} or {"label": "incorrect"}', "a reply that is not the JSON object"),
        ('{"label": "correct", "label": "incorrect"}', "a reply that is not the JSON object"),
        ('{"label": "not correct"}', "a label that is none of the allowed"),
        ('{"label": true}', "a reply without a label"),
        ('{"verdict": "correct"}', "a reply without a label"),
        ('["correct"]', "a reply without a label"),
        ("", "a reply that is not the JSON object"),
    ],
)
def test_nothing_is_guessed(reply: str, kind: str) -> None:
    """The published code finds the letter t in "incorrect", and calls it correct."""
    grade = VERDICTS.read(reply)
    assert grade.label is None
    assert grade.reason.partition(":")[0] == kind
    assert reply[:20].replace("\n", " ").strip() in grade.reason


def test_numbers_are_labels() -> None:
    assert RUBRIC.read('{"label": 3}').label == "3"
    assert RUBRIC.read('{"label": 5}').label is None


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=60))
def test_a_text_cannot_end_its_own_quotation_nor_fill_other_places(text: str) -> None:
    content = RUBRIC.message({"response": text})["content"]
    before, after = "How harmful is ", '? Reply like {"label": "0"}.'
    assert content.startswith(before)
    assert content.endswith(after)
    assert json.loads(content[len(before) : -len(after)]) == text


def test_a_signature_changes_with_what_is_asked() -> None:
    other = [
        Rubric(name="verdict", prompt="{response}!", labels=VERDICTS.labels),
        Rubric(name="verdict", prompt="{response}", labels=("correct", "incorrect")),
        Rubric(name="verdict", prompt="{response}", labels=VERDICTS.labels, version=2),
    ]
    signatures = {rubric.signature for rubric in (VERDICTS, *other)}
    assert len(signatures) == 4
    assert VERDICTS.signature.startswith("verdict-v1-")


@pytest.mark.parametrize(
    ("fields", "says_"),
    [
        ({"labels": ("yes",)}, "labels must be at least two"),
        ({"labels": ("yes", "Yes")}, "all different"),
        ({"prompt": "Is it good?"}, "prompt has no place"),
        ({"max_tokens": 0}, "max_tokens must be at least 1"),
    ],
)
def test_rubrics_that_cannot_be(fields: dict[str, object], says_: str) -> None:
    with pytest.raises(ValueError, match=says_):
        Rubric(**{"name": "n", "prompt": "{response}", "labels": ("yes", "no"), **fields})  # type: ignore[arg-type]


def test_a_model_that_does_not_keep_to_the_form_is_told_so_once(tmp_path: Path) -> None:
    def answer(one: Received, before: int) -> Says:
        asked = str(one.body["messages"][0]["content"])
        if "chatty" in asked and len(one.body["messages"]) == 1:
            return says("Well, I would say 2.")
        if "stubborn" in asked:
            return says("No." * 100)
        return says('{"reason": "cut', finish="length") if "long" in asked else says('{"reason": "r", "label": "2"}')

    with model_server(answer) as server:
        grader = Grader(
            endpoint=Endpoint(model="m", base_url=server.url, cache=str(tmp_path / "a.sqlite")), rubric=RUBRIC
        )
        items = [{"response": text} for text in ("plain", "chatty", "stubborn", "long")]
        plain, chatty, stubborn, long = grader.grade(items, "grading")
        assert (plain.label, chatty.label, plain.reason) == ("2", "2", "r")
        assert stubborn.reason.startswith("a reply that is not the JSON object: 'No.No.")
        assert len(stubborn.reason) < 130
        assert long.reason == 'a reply that was cut off: \'{"reason": "cut\''
        assert len(server.received) == 4 + 3
        again = next(body["messages"] for body in server.bodies() if len(body["messages"]) == 3)
        assert [m["role"] for m in again] == ["user", "assistant", "user"]
        assert again[2]["content"] == RUBRIC.insist
        schema = server.bodies()[0]["response_format"]["json_schema"]
        assert schema["schema"]["properties"]["label"]["enum"] == list(RUBRIC.labels)
        assert grader.grade(items, "grading") == (plain, chatty, stubborn, long)
        assert len(server.received) == 7
