"""The rule judge."""

from __future__ import annotations

from typing import Any

import pytest

from hneuro.records import Judgement, Question, Response, Verdict
from hneuro.verdicts.rule import RuleJudge, normal_words, states


def judged(said: str, *answers: str, answerable: bool = True, **options: Any) -> Judgement:
    question = Question(id="q", dataset="d", text="?", answers=answers, entity="e", answerable=answerable)
    response = Response(
        question_id="q", sample=3, prompt_ids=(), token_ids=(), text=said, logprobs=(), entropies=()
    )  # fmt: skip
    return RuleJudge(**options).judge(question, response)


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Paris", "Paris"),
        ("The answer is paris.", "Paris"),
        ("“Hamlet”", "hamlet"),
        ("Eugene O’Neill", "eugene o neill"),
        ("Beyonce", "Beyoncé"),
        ("Beyonce\u0301", "beyoncé"),
        ("212°F", "212"),
        ("Teflon™", "Teflon"),
        ("1,000 miles", "1000"),
        ("Beatles", "The Beatles"),
        ("Spider-Man", "spider man"),
        ("It was the Tiber, in Rome", "Tiber"),
        ("The The", "The The"),
        ("東京", "東京"),
        ("Straße", "STRASSE"),
    ],
)
def test_states_a_gold_answer(said: str, answer: str) -> None:
    assert judged(said, "something else", answer).verdict is Verdict.CORRECT


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Bonaparte", "art"),
        ("Inner earth", "ear"),
        ("40", "4"),
        ("John Paul II", "John Paul I"),
        ("Vitamin C", "Vitamin A"),
        ("Bernard, George Shaw", "George Bernard Shaw"),
        ("A", "B"),
        ("Paris", "!!!"),
    ],
)
def test_part_of_a_word_or_of_an_answer_is_not_enough(said: str, answer: str) -> None:
    """Trap 3: a judge that searched letters found 4 in 40."""
    assert judged(said, answer).verdict is Verdict.WRONG


@pytest.mark.parametrize(
    "said",
    ["I don't know.", "I don’t know", "I do not know who that is", "Unknown.", "I cannot say", "I can't answer that",
     "There is no information about her", "I am unable to help", "I have no idea!", "I'm not sure."],
)  # fmt: skip
def test_a_refusal_is_neither_right_nor_wrong(said: str) -> None:
    """Trap 5: abstaining is not hallucinating."""
    assert judged(said, "Paris").verdict is Verdict.REFUSED
    assert judged(said, answerable=False).verdict is Verdict.REFUSED


def test_a_hedged_right_answer_is_right() -> None:
    assert judged("I am not sure, Paris?", "Paris").verdict is Verdict.CORRECT


@pytest.mark.parametrize("said", ["", "  \n", "...", "?!"])
def test_an_empty_response_is_unjudged(said: str) -> None:
    found = judged(said, "Paris")
    assert (found.verdict, found.reason) == (Verdict.UNJUDGED, "empty response")


def test_a_gold_answer_in_a_long_list_of_guesses_is_unjudged() -> None:
    """Trap 3: what contains everything contains the answer."""
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


def test_own_refusal_patterns() -> None:
    assert judged("Pass!", "Paris", refusals=("^pass$",)).verdict is Verdict.REFUSED
    assert judged("Unknown", "Paris", refusals=("^pass$",)).verdict is Verdict.WRONG


def test_the_judgement_says_whose_it_is_and_why() -> None:
    found = judged("It is Rome", "Rome, Italy", "Rome")
    assert (found.question_id, found.sample, found.judge, found.reason) == ("q", 3, "rule/contains", "states 'rome'")


def test_normal_words_drop_articles_before_a_word_only() -> None:
    assert normal_words("The Plan A, an Apple a Day") == ["plan", "apple", "day"]
    assert normal_words("Vitamin A") == ["vitamin", "a"]
    assert not states(["a"], ["a", "b"])
