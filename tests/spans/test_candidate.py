"""The first name of the asked kind, right or wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hneuro.records import Question
from hneuro.spans.candidate import CandidateLocator, first_named, first_new_words

COUNTRIES = ("Japan", "Mexico", "Singapore", "Guinea", "Guinea-Bissau", "South Korea", "Korea", "Côte d'Ivoire", "US")


def asked(entity: str, *answers: str, candidates: tuple[str, ...] = COUNTRIES) -> Question:
    text = f"In which country is the city of {entity}?"
    return Question(
        id=entity, dataset="cities", text=text, answers=answers, entity=entity, candidates=candidates, meta={}
    )


@pytest.mark.parametrize(
    ("entity", "said", "name"),
    [
        ("Kofu", "The city of Kofu is located in Japan, which is in Asia, near South Korea.", "Japan"),
        ("Bissau", "Bissau lies in Guinea-Bissau.", "Guinea-Bissau"),
        ("Busan", "South Korea.", "South Korea"),
        ("Abidjan", "It is in COTE D’IVOIRE!", "COTE D’IVOIRE"),
        ("Austin", "Austin is in the U.S. state of Texas.", "U.S"),
        ("Mexico City", "Mexico City is the capital of Mexico.", "Mexico"),
        ("Singapore", "The city of Singapore is located in Singapore.", "Singapore"),
        ("Singapore", "Singapore.", "Singapore"),
    ],
)
def test_the_name_is_found(entity: str, said: str, name: str) -> None:
    start, stop = first_named(asked(entity), said) or (0, 0)
    assert said[start:stop] == name


def test_a_name_that_is_the_city_is_found_where_the_country_is() -> None:
    said = "The city of Singapore is located in Singapore."
    assert first_named(asked("Singapore"), said) == (said.rindex("Singapore"), len(said) - 1)


def test_where_the_entity_is_not_known_the_names_of_the_question_are_no_answers() -> None:
    said = "Mexico City is the capital of Mexico."
    assert first_named(replace(asked("Mexico City"), entity=""), said) == first_named(asked("Mexico City"), said)


@pytest.mark.parametrize("said", ["It lies in the south of Africa.", "Mexico City", "Japanese", ""])
def test_a_response_that_names_none_has_no_span(said: str) -> None:
    assert first_named(asked("Mexico City"), said) is None


def test_right_and_wrong_answers_have_the_same_span(bytes_speaker: Any) -> None:
    said = bytes_speaker.response("The city of Kofu is located in Japan.")
    spans = [
        CandidateLocator().locate([(asked("Kofu", gold), said)], bytes_speaker.decode)[0]
        for gold in ("Japan", "Mexico")
    ]
    assert spans[0] == spans[1]
    assert spans[0].text == "Japan"


CAPITAL = Question(
    id="c", dataset="capitals", text="What is the capital of Malta?", answers=("Valletta",), entity="Malta",
    meta={"kind": "capital", "claim": "The capital of Malta is {answer}."},
)  # fmt: skip


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("The capital of Malta is Port-au-Charc, which is a port city.", "Port-au-Charc"),
        ("Valletta", "Valletta"),
        ("La Valletta is the capital of Malta.", "La Valletta"),
        ("Malta is an island with the capital Valletta.", "Valletta"),
        ("The capital of Malta is known as Kougou.", "Kougou"),
        ("The capital of Malta is Malta.", "Malta"),
        ("Malta is a country in the south of Europe.", ""),
        ("", ""),
    ],
)
def test_where_answers_can_be_made_up_it_is_what_is_new(said: str, name: str) -> None:
    start, stop = first_new_words(CAPITAL, said) or (0, 0)
    assert said[start:stop] == name


def test_without_candidates_and_kind_it_is_the_short_answer(bytes_speaker: Any) -> None:
    said = bytes_speaker.response("It is Japan.")
    (span,) = CandidateLocator().locate([(asked("Kofu", "Japan", candidates=()), said)], bytes_speaker.decode)
    assert (span.text, span.method) == ("Japan", "short_answer")
