"""Where a response names an answer of the kind that is asked for, right or wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import regex

from hneuro.questions.base import ARTICLES
from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.base import NONE_STATED, Item, no_span, span_at
from hneuro.spans.normal import words_at
from hneuro.spans.rule import FUNCTION, inside, normal_form
from hneuro.spans.short_answer import CLOSING, ShortAnswer, trimmed
from hneuro.spans.tokens import Decode, Range
from hneuro.verdicts.base import word_list
from hneuro.verdicts.rule import answer_part

NAME = regex.compile(r"\p{Lu}[\w'’.-]*(?:\s+\p{Lu}[\w'’.-]*)*")  # capitalised words in a row
ADDED = FUNCTION | ARTICLES | frozenset(word_list("fillers"))  # what says nothing new


@dataclass(frozen=True, kw_only=True)
class CandidateLocator:
    """The first candidate that a response names: "Japan" of "The city of Kofu is located in Japan, in Asia."

    Right and wrong answers are located alike, as the gold answer is not looked at. What only repeats the question does
    not count ("Mexico" of "Mexico City"). Where not all answers of the kind are known, as capitals that do not
    exist are answers too, it is what the response says anew: "Kougou" of "The capital of Cameroon is Kougou." A
    response that names none has no span; a question without candidates and kind has what `short_answer` finds.
    """

    short_answer: ShortAnswer = field(default_factory=ShortAnswer)
    letters: ClassVar[bool] = False

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        return tuple(self._span(question, response, decode) for question, response in items)

    def _span(self, question: Question, response: Response, decode: Decode) -> AnswerSpan:
        if question.candidates:
            place = first_named(question, response.text)
        elif "kind" in question.meta:
            place = first_new_words(question, response.text)
        else:
            return self.short_answer.locate([(question, response)], decode)[0]
        if place is None:
            return no_span(response, NONE_STATED, "candidate")
        return span_at(response, [place], decode, "candidate")


def first_named(question: Question, text: str) -> Range | None:
    """The characters of the first candidate in the answer, as long as it can be; nothing in the reasoning counts."""
    # Of a question from elsewhere it is not known which of its names it is about.
    names = (question.entity,) if question.entity else tuple(NAME.findall(question.text))
    return _first_named(question.candidates, names, text)


@lru_cache(maxsize=1 << 15)  # most samples of a question are the same text, and each is asked about in every round
def _first_named(candidates: tuple[str, ...], asked_about: tuple[str, ...], text: str) -> Range | None:
    start, stop = answer_part(text) or (0, 0)
    answer = text[start:stop]
    asked = places_of(_forms(asked_about), answer)
    found = [
        place
        for place in places_of(_forms(candidates), answer)
        if not any(inside(place, other) and place != other for other in asked)
    ]
    if not found:
        return None
    first = found[1] if found[0] in asked and len(found) > 1 else found[0]  # "Singapore is located in Singapore"
    return start + first[0], start + first[1]


def names_none(question: Question, text: str) -> bool:
    """Whether all answers of the kind are known, and the response names none of them."""
    return bool(question.candidates) and first_named(question, text) is None


def first_new_words(question: Question, text: str) -> Range | None:
    """The first words that neither the question nor a claim of its answer has, at the start or after the kind's name.

    "Kabul" of "Kabul is the capital of Afghanistan.", "Mo" of "Molybdenum is an element with the chemical symbol Mo.",
    the second name of "The capital of Malta is Malta.", nothing of "Angola is a country in the south of Africa."
    """
    start, stop = answer_part(text) or (0, 0)
    kind = str(question.meta["kind"])
    asked = {word.text for word in words_at(f"{question.text} {question.meta.get('claim', '')} {kind}")}
    said = [(start + m.start(), start + m.end()) for m in re.finditer(r"\S+", text[start:stop])]
    words = [[word.text for word in words_at(text[slice(*place)])] for place in said]
    new = [not asked.union(ADDED).issuperset(own) for own in words]
    after = next((n for n, own in enumerate(words) if words_at(kind)[-1].text in own), len(said))
    first = next((n for n in [*range(len(said))[:1], *range(after, len(said))] if new[n]), None)
    if first is None:
        named = places_of(_forms((question.entity,)), text[start:stop])
        return (start + named[1][0], start + named[1][1]) if len(named) > 1 else None
    last = first
    while last + 1 < len(said) and new[last + 1] and text[said[last][1] - 1] not in CLOSING:
        last += 1
    return trimmed(text, said[first][0], said[last][1])


def places_of(forms: dict[str, int], text: str) -> list[Range]:
    """Where these normal forms, with their number of words, are in the text: of those that overlap the longest."""
    words = [word for word in words_at(text) if word.text not in ARTICLES]  # "the US" is found as "US"
    longest, begins, found = max(forms.values(), default=0), _beginnings(tuple(forms)), list[Range]()
    first = 0
    while first < len(words):
        one = normal_form(text[words[first].start : words[first].stop])  # most words begin no name
        ends = range(min(first + longest, len(words)) if one in begins else first, first, -1)
        end = next((n for n in ends if normal_form(text[words[first].start : words[n - 1].stop]) in forms), None)
        if end is not None:
            found.append((words[first].start, words[end - 1].stop))
        first = first + 1 if end is None else end
    return found


@lru_cache(maxsize=64)
def _beginnings(forms: tuple[str, ...]) -> frozenset[str]:
    return frozenset(form[:n] for form in forms for n in range(1, len(form) + 1))


@lru_cache(maxsize=64)
def _forms(names: tuple[str, ...]) -> dict[str, int]:
    return {form: len(words_at(name)) for name in names if (form := normal_form(name))}
