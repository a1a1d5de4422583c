"""The judge of letters."""

from __future__ import annotations

from typing import Any

import pytest
from judging import question, response

from hneuro.records import Verdict
from hneuro.verdicts.letter import LetterJudge

OPTIONS = ("Po", "Tiber", "Arno")


def verdict(text: str, **fields: Any) -> tuple[Verdict, str]:
    asked = question("q", **{"answers": ("Tiber",), "options": OPTIONS, **fields})
    (judged,) = LetterJudge().judge([(asked, response("q", text, 3))])
    assert (judged.question_id, judged.sample, judged.judge) == ("q", 3, "letter")
    return judged.verdict, judged.reason


@pytest.mark.parametrize("text", ["B", " B", "B.", "(B)", "**B**", "B\n", "B. Tiber", "B) Po", "B: because of A."])
def test_the_letter_of_a_right_option(text: str) -> None:
    assert verdict(text) == (Verdict.CORRECT, "B is right")


@pytest.mark.parametrize("text", ["A", " C", "A. Tiber"])
def test_the_letter_of_another_option(text: str) -> None:
    assert verdict(text) == (Verdict.WRONG, f"{text.strip()[0]} is not B")


@pytest.mark.parametrize("text", ["", "Tiber", "A river", "b", "B and C", "BC", "A/B", "I do not know."])
def test_no_letter_alone_is_not_guessed(text: str) -> None:
    assert verdict(text) == (Verdict.UNJUDGED, "no letter alone")


def test_a_letter_beyond_the_options() -> None:
    assert verdict("D") == (Verdict.UNJUDGED, "no option has this letter: D")
    assert verdict("A", options=()) == (Verdict.UNJUDGED, "no option has this letter: A")


def test_several_right_options() -> None:
    answers = ("Arno", "Po")
    assert [verdict(letter, answers=answers)[0] for letter in "ABC"] == [
        Verdict.CORRECT,
        Verdict.WRONG,
        Verdict.CORRECT,
    ]
    assert verdict("B", answers=answers)[1] == "B is not A or C"


def test_a_gold_answer_that_is_no_option() -> None:
    assert verdict("A", answers=("tiber",)) == (Verdict.UNJUDGED, "no option is a gold answer")


def test_any_letter_is_wrong_about_what_does_not_exist() -> None:
    assert verdict("A", answers=(), answerable=False) == (Verdict.WRONG, "answers about what does not exist")
    assert verdict("B", answers=("Tiber",), answerable=False)[0] is Verdict.CORRECT  # "none of these", say
