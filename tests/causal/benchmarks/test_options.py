"""Which option an answer picks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hneuro.causal.benchmarks.options import chosen

LABELS = ("A", "B", "C", "D")
PLANETS = ("Carbon", "Mars", "Because of the Sun", "less water for plants")


@pytest.mark.parametrize(
    "text",
    [
        "B", "b", " B.", "(B)", "(b)", "B)", "**B**", "**B)** Mars", "B. Mars", "B: Mars", "B) the red planet",
        "B\n\nBecause it is red.", "B - Mars", "(B) Mars", "[B]", "Answer: B", "The answer is B", "The answer is B.",
        "The correct answer is (B).", "The answer is **B**, because Mars is red.", "the answer is: B",
        "I would say that the answer is B) Mars.", "Option B", "Option (B)", "I choose option B.",
        "My final answer is still B", "B is the correct answer.", "I think (B) is right.", "It must be (B), I guess.",
        "Given the context, I reasoned about (A), but the answer is (B).",
        "Mars", "mars.", "It is Mars.", "The planet Mars", "Mars!\n", "“Mars”",
    ],
)  # fmt: skip
def test_a_letter_or_the_text_of_an_option(text: str) -> None:
    assert chosen(text, LABELS, PLANETS) == "B"


@pytest.mark.parametrize(
    "text",
    [
        "", "I do not know.", "Carbide", "Deuterium", "A car is not a planet.", "The answer is A car park.",
        "None of these", "(A) or (B)", "(A) is wrong.", "It is not Mars.", "Option B is wrong.", "Carbon or Mars",
        "The answer is A. The answer is B.", "A) Mars", "E", "AB", "Be careful", "Dear me",
        "Mars is one of several things that come to mind when I think about all of these very red planets there.",
    ],
)  # fmt: skip
def test_anything_else_is_no_choice(text: str) -> None:
    assert chosen(text, LABELS, PLANETS) is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Carbon dioxide", None),  # the first letter is no answer
        ("Because it rains", None),
        ("Because of the Sun", "C"),
        ("less water", None),
        ("There is less water for plants.", "D"),
        ("A", "A"),
    ],
)
def test_the_first_letter_of_a_word_is_no_answer(text: str, label: str | None) -> None:
    options = ("Carbon", "Mars", "Because of the Sun", "less water for plants")
    assert chosen(text, LABELS, options if text != "Carbon dioxide" else ()) == label


def test_options_that_are_numbered() -> None:
    """And may be numbers themselves: a bare number is then not told."""
    numbered = ("1", "2", "3", "4")
    assert chosen("2) 10 N", numbered, ("20 N", "10 N", "5 N", "1 N")) == "2"
    assert chosen("10 N", numbered, ("20 N", "10 N", "5 N", "1 N")) == "2"
    assert chosen("1.5 km", numbered, ("1 km", "1.5 km", "2 km", "3 km")) == "2"
    assert chosen("2", numbered, ("4", "3", "2", "1")) is None
    assert chosen("The answer is 3.", numbered) == "3"


def test_real_answers(recorded_data: Path) -> None:
    """2,000 answers with the option that a parser of others read. Where we differ, it took a word's first letter.

    The options are not in the file; those that a model wrote out ("D) ...") are taken from there.
    """
    rows = []
    for alpha in ("1.0", "3.0"):
        file = recorded_data / "gemma3_4b" / f"faitheval_alpha_{alpha}.jsonl"
        rows += [json.loads(line) for line in file.read_text().splitlines()]
    numbered = {row["id"] for row in rows if row["response"][:2] in ("1)", "2)", "3)", "4)")}
    options: dict[str, dict[str, str]] = {}
    for row in rows:
        if row["response"][1:3] == ") ":
            options.setdefault(row["id"], {})[row["response"][0]] = row["response"][3:].strip()
    differ = []
    by_text = 0
    for row in rows:
        labels = "1234" if row["id"] in numbered else "ABCDE"
        label = chosen(row["response"], labels)
        if label != row["chosen"]:
            assert label is None
            differ.append(row["response"])
            assert row["response"][0].upper() == row["chosen"]
        texts = [options.get(row["id"], {}).get(each, "") for each in labels]
        by_text += label is None and chosen(row["response"], labels, texts) is not None
    assert len(rows) == 2000
    assert len(differ) == 43
    assert by_text == 127
