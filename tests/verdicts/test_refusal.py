"""Refusing to answer, and denying what the question takes for granted."""

from __future__ import annotations

import pytest

from hneuro.verdicts.refusal import Kind, RefusalDetector, plain

DETECTOR = RefusalDetector()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("I don't know.", "refuses"), ("I don’t know who that is", "refuses"), ("I do not know", "refuses"),
        ("I cannot answer that", "refuses"), ("I can't say!", "refuses"),
        ("I'm sorry, I cannot reliably tell.", "refuses"),
        ("Unknown.", "refuses"), ("**Unknown**", "refuses"), ("N/A", "refuses"), ("The answer is unknown.", "refuses"),
        ("There is no information about her", "refuses"), ("I have no idea!", "refuses"), ("No idea.", "refuses"),
        ("I'm not familiar with Volor Pri Octacap.", "refuses"), ("I am unable to help", "refuses"),
        ("I'm not sure.", "refuses"), ("It was not mentioned", "refuses"), ("I could not find this drug.", "refuses"),
        ("There is no such medicine.", "corrects"), ("Volor pri octacap does not exist.", "corrects"),
        ("That drug doesn't actually exist", "corrects"), ("It appears to be a fictional plant.", "corrects"),
        ("This is not a real company.", "corrects"), ("No such person.", "corrects"),
        ("There is no known animal of that name", "corrects"), ("We couldn't find it", "refuses"),
        ("The question has a false premise", "corrects"), ("It isn’t a recognized species", "corrects"),
    ],
)  # fmt: skip
def test_refusals_and_corrections(said: str, kind: Kind) -> None:
    found = DETECTOR.find(said)
    assert found is not None
    assert (found.kind, found.goes_on) == (kind, False)
    assert found.words in plain(said)


@pytest.mark.parametrize(
    "said",
    ["Paris", "The Unknown Soldier", "Knowing me, knowing you", "Database", "A fictional detective", "No. 5", "Nothing",
     "Not Paris", "I know it is Paris", "Information theory", "Neverland", "The Real Thing", "Can't Buy Me Love",
     "No Country for Old Men", "Never on Sunday", ""],
)  # fmt: skip
def test_an_answer_is_no_refusal(said: str) -> None:
    assert DETECTOR.find(said) is None


@pytest.mark.parametrize(
    "said", ["I'm not sure, but it may be Paris", "I don't know. Probably Paris", "It doesn't exist; however, Bayer"]
)
def test_a_refusal_that_goes_on_is_told_apart(said: str) -> None:
    found = DETECTOR.find(said)
    assert found is not None
    assert found.goes_on


def test_own_patterns_and_patterns_that_are_none() -> None:
    own = RefusalDetector(refusing=("^pass$",), correcting=(), going_on=())
    assert own.find("Pass!") is not None
    assert own.find("I don't know") is None
    with pytest.raises(ValueError, match=r"correcting: '\(' is not a regular expression"):
        RefusalDetector(correcting=("(",))
