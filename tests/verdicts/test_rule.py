"""The rule judge, and what it takes for a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from judging import question, response

from hneuro.records import Judgement, Verdict
from hneuro.verdicts.refusal import Kind, RefusalDetector, plain
from hneuro.verdicts.rule import RuleJudge
from hneuro.verdicts.words import normal_words, states


def judged(said: str, *answers: str, answerable: bool = True, **options: Any) -> Judgement:
    asked = question("q", *answers, answerable=answerable)
    (found,) = RuleJudge(**options).judge([(asked, response("q", said, 3))])
    return found


def test_a_gold_answer_without_words_is_none() -> None:
    found = judged("Paris", "!!!")
    assert (found.verdict, found.reason) == (Verdict.UNJUDGED, "no gold answer to compare with")


@pytest.mark.parametrize("said", ["  \n", "?!"])
def test_an_empty_response_is_unjudged(said: str) -> None:
    found = judged(said, "Paris")
    assert (found.verdict, found.reason) == (Verdict.UNJUDGED, "empty response")


def test_a_gold_answer_in_a_long_list_of_guesses_is_unjudged() -> None:
    """What contains everything contains the answer."""
    guesses = "kangaroos, wallabies, wombats, bilbies, quokkas, echidnas, cassowaries"
    assert judged(guesses, "quokkas", most_other_words=5).verdict is Verdict.UNJUDGED
    assert judged(guesses, "quokkas", most_other_words=6).verdict is Verdict.CORRECT
    assert judged(guesses, "koalas", most_other_words=5).verdict is Verdict.WRONG


def test_anything_but_a_refusal_is_wrong_about_what_does_not_exist() -> None:
    found = judged("Berlin", answerable=False)
    assert (found.verdict, found.reason) == (Verdict.WRONG, "answers about what does not exist")


def test_exact_gives_no_credit_for_more_than_the_answer() -> None:
    assert judged("The Tiber.", "Tiber", match="exact").verdict is Verdict.CORRECT
    assert judged("The Tiber in Rome", "Tiber", match="exact").verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "said", ["Tiber.", "The Tiber.", "It is the Tiber", "The answer is: Tiber", "It was in Tiber, yes"]
)
def test_strict_allows_fillers_around_the_answer(said: str) -> None:
    assert judged(said, "Tiber", match="strict").verdict is Verdict.CORRECT


@pytest.mark.parametrize(
    "said", ["Tiber or Arno", "The Tiber in Rome", "Not the Tiber", "Tiber and Arno", "the upper Tiber", "Tiber Arno"]
)
def test_strict_does_not_judge_what_says_more(said: str) -> None:
    """96 of 1,435 "all correct" were expanded answers that contain an alias."""
    found = judged(said, "Tiber", match="strict")
    assert found.verdict is Verdict.UNJUDGED
    assert judged("Arno", "Tiber", match="strict").verdict is Verdict.WRONG


def test_what_states_no_gold_answer_can_be_left_to_another_judge() -> None:
    for match in ("contains", "strict", "exact"):
        found = judged("The City of Light", "Paris", match=match, unstated="unjudged")
        assert (found.verdict, found.reason) == (Verdict.UNJUDGED, "no gold answer stated")
    assert judged("Paris, France", "Paris", match="exact", unstated="unjudged").verdict is Verdict.UNJUDGED
    assert judged("I don't know", "Paris", unstated="unjudged").verdict is Verdict.REFUSED


def test_a_correction_refuses_only_where_the_thing_does_not_exist() -> None:
    said = "There is no such city."
    assert judged(said, answerable=False).verdict is Verdict.REFUSED
    assert judged(said, "Paris").verdict is Verdict.WRONG


def test_a_refusal_that_goes_on_to_answer_is_unjudged() -> None:
    found = judged("I'm not sure, but it could be Berlin", "Paris")
    assert (found.verdict, found.reason) == (Verdict.UNJUDGED, "a refusal that goes on")


def test_judgements_come_in_the_order_of_the_pairs() -> None:
    found = RuleJudge().judge([(question(str(n), f"x{n % 3}"), response(str(n), "x1", n)) for n in range(9)])
    assert [(j.question_id, j.sample) for j in found] == [(str(n), n) for n in range(9)]
    assert [j.verdict for j in found] == [Verdict.WRONG, Verdict.CORRECT, Verdict.WRONG] * 3
    assert RuleJudge().judge([]) == ()


def test_the_judgement_says_whose_it_is_and_why() -> None:
    found = judged("It is Rome", "Rome, Italy", "Rome")
    assert (found.question_id, found.sample, found.judge, found.reason) == ("q", 3, "rule/contains", "states 'rome'")


def test_normal_words_drop_articles_before_a_word_only() -> None:
    assert normal_words("The Plan A, an Apple a Day") == ["plan", "apple", "day"]
    assert normal_words("Vitamin A") == ["vitamin", "a"]
    assert not states(["a"], ["a", "b"])


COUNTRIES = ("Guinea", "Papua New Guinea", "Equatorial Guinea", "Japan", "Nippon", "Brazil", "India")


@pytest.mark.parametrize(
    ("said", "answers", "truncated", "expected"),
    [
        ("It lies in Papua New Guinea.", ("Guinea",), False, Verdict.WRONG),
        ("It lies in Guinea, not in Papua New Guinea.", ("Guinea",), False, Verdict.CORRECT),
        ("It lies in Papua New Guinea.", ("Papua New Guinea",), False, Verdict.CORRECT),
        ("The city of Kofu is located in the southern part of", ("Japan", "Nippon"), True, Verdict.UNJUDGED),
        ("The city of Kofu is located in the southern part of it.", ("Japan", "Nippon"), False, Verdict.WRONG),
        ("The city of Kofu is located in Brazil, which is the main", ("Japan", "Nippon"), True, Verdict.WRONG),
        ("The city of Kofu is located in Japan, which is the main", ("Japan", "Nippon"), True, Verdict.CORRECT),
        ("I do not know where", ("Japan",), True, Verdict.REFUSED),
    ],
)
def test_what_else_could_be_the_answer_is_known(
    said: str, answers: tuple[str, ...], truncated: bool, expected: Verdict
) -> None:
    asked = question("q", *answers, candidates=COUNTRIES)
    assert RuleJudge().judge([(asked, response("q", said, truncated=truncated))])[0].verdict is expected


DETECTOR = RefusalDetector()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("I don’t know who that is", "refuses"), ("**Unknown**", "refuses"), ("N/A", "refuses"),
        ("I'm not familiar with Volor Pri Octacap.", "refuses"), ("I could not find this drug.", "refuses"),
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


def test_patterns_that_are_none() -> None:
    own = RefusalDetector(refusing=("^pass$",), correcting=(), going_on=())
    assert own.find("Pass!") is not None
    assert own.find("I don't know") is None
    with pytest.raises(ValueError, match=r"correcting: '\(' is not a regular expression"):
        RefusalDetector(correcting=("(",))
