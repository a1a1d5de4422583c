"""The answer by rules: where the response states a gold answer, and otherwise what the response says that is new."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal

from hneuro.questions.base import ARTICLES
from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.base import Item, no_span, span_at
from hneuro.spans.normal import Occurrence, Word, chosen, words_at
from hneuro.spans.short_answer import ShortAnswer, trimmed
from hneuro.spans.tokens import Decode, Range
from hneuro.verdicts.asserted import common
from hneuro.verdicts.base import word_list
from hneuro.verdicts.rule import answer_part
from hneuro.verdicts.words import key, normal_words, without_points

TAIL = re.compile(r"[#♯+−-]{0,2}(?!\w)")  # of C++
SLACK = 5  # words that a text may have more than its normal form, or than another text of the same form
COPULAS = frozenset(("is", "are", "was", "were"))
FUNCTION = frozenset(word_list("function"))
BREAK = re.compile(r"\n\s*\n|(?<=[.!?。！？])(?:\s+(?=\W*[^\W_a-z])|(?<=[。！？]))")
NO_END = re.compile(r"\b(\w|[A-Z][a-z]{1,2}|\d+)\.$")  # "J.", "St.", "12."
ASIDE = re.compile(r",\s+(which|who|whose|where|when|because)\b", re.IGNORECASE)
BY = re.compile(r"\w+\s+by\s+")  # "was written by"
REPEATED = 4  # words in a row: fewer may stand in question and answer by chance


@dataclass(frozen=True, kw_only=True)
class RuleLocator:
    """The longest gold answer that the response states, compared as the rule judge compares, with what it is part of.

    `extend`: "alias" takes the words of the gold answer alone. Only right answers have any, so that their spans would
    be shorter than those of wrong ones by construction ("Golding" of "William Golding"); "phrase" therefore takes the
    phrase around it, found in right and wrong answers alike. A response of at most `most_words` words is one phrase, a
    longer one is cut into sentences, and a sentence loses what only repeats the question. `occurrence`: which mention
    counts where there are several; without a gold answer, the first or last sentence that says something new.
    """

    occurrence: Occurrence = "first"
    extend: Literal["phrase", "alias"] = "phrase"
    most_words: int = 12
    short_answer: ShortAnswer = field(default_factory=ShortAnswer)
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.most_words < 1:
            raise ValueError(f"most_words must be at least 1, not {self.most_words}")

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        return tuple(self._span(question, response, decode) for question, response in items)

    def _span(self, question: Question, response: Response, decode: Decode) -> AnswerSpan:
        whole = self.short_answer.characters(response.text)
        stated = chosen(gold_places(question.answers, response.text, whole), self.occurrence)
        if not stated and whole[0] == whole[1]:
            return no_span(response, "nothing but filler", "rule/phrase")
        if stated and self.extend == "alias":
            return span_at(response, stated, decode, "rule/alias")
        phrases = sentences(response.text, whole, self.most_words)
        if stated:
            around = {_around(place, phrases, response.text, question.text) for place in stated}
            return span_at(response, sorted(around), decode, "rule/alias phrase")
        new = [p for p in phrases if says_new(response.text, p, question.text)] or phrases
        places = [new_part(response.text, p, question.text) for p in chosen(new, self.occurrence)]
        return span_at(response, places, decode, "rule/phrase")


def _around(place: Range, phrases: Sequence[Range], text: str, question: str) -> Range:
    """The phrase that a gold answer is part of; the gold answer itself where it is part of none."""
    for phrase in phrases:
        for wider in (new_part(text, phrase, question), phrase):
            if inside(place, wider):
                return wider
    return place


def gold_places(answers: Sequence[str], text: str, whole: Range) -> list[Range]:
    """Where the longest gold answer within `whole` is, else the longest of those anywhere; none if none does.

    A gold answer is where the text has the same normal words. They are the rule judge's own, so that whatever is the
    same to it (numbers, accents, articles) is the same here. A common word counts only as it is written in the answer;
    nothing in the reasoning counts.
    """
    forms = {form: len(words_at(answer)) for answer in answers if (form := normal_form(answer))}
    as_is = {normal_form(answer): without_points(answer.strip()) for answer in answers if common(answer)}
    start, stop = answer_part(text) or (0, 0)
    words = [word for word in words_at(text) if start <= word.start and word.stop <= stop]
    longest = max(forms.values(), default=0) + SLACK
    found: dict[str, list[Range]] = {}
    for last in range(len(words)):
        bare = words[last].stop
        tail = TAIL.match(text, bare)
        for end in sorted({bare, tail.end() if tail else bare}, reverse=True):
            for first in range(last, max(-1, last - longest), -1):  # the shortest text that ends here
                place = (words[first].start, end)
                said = text[slice(*place)]
                form = normal_form(said)
                if form not in forms or without_points(said) != as_is.get(form, without_points(said)):
                    continue
                if form not in found or found[form][-1][1] <= place[0]:
                    found.setdefault(form, []).append(place)
    within = [kept for places in found.values() if (kept := [p for p in places if inside(p, whole)])]
    return max(within or found.values(), key=lambda places: places[0][1] - places[0][0], default=[])


def inside(place: Range, whole: Range) -> bool:
    return whole[0] <= place[0] and place[1] <= whole[1]


@lru_cache(maxsize=1 << 16)
def normal_form(text: str) -> str:
    """What is the same for texts that the rule judge takes for the same."""
    return key(normal_words(text))


def sentences(text: str, whole: Range, most_words: int) -> list[Range]:
    """The sentences of a long answer; one of at most `most_words` words is a name, a list or a sentence itself."""
    start, stop = whole
    if len(_words(text, whole)) <= most_words:
        return [whole]
    cuts = [m for m in BREAK.finditer(text, start, stop) if not NO_END.search(text, start, m.start())]
    edges = zip([start, *(m.end() for m in cuts)], [*(m.start() for m in cuts), stop], strict=True)
    found = [trimmed(text, a, b) for a, b in edges]
    return [(a, b) for a, b in found if a < b]


def says_new(text: str, place: Range, question: str) -> bool:
    return _new(_words(text, place), _vocabulary(question))


def new_part(text: str, sentence: Range, question: str) -> Range:
    """The sentence without a beginning or an end that only repeats the question, and without a clause after it.

    "The capital of France is Lyon, which lies on the Rhone" is "Lyon" to "What is the capital of France?", and
    "Lyon is the capital of France" as well. A sentence without anything new stays whole.
    """
    asked, known = [w.text for w in _words(question)], _vocabulary(question)
    start, stop = sentence
    words = _words(text, sentence)
    if not _new(words, known):
        return sentence
    for n, verb in enumerate(words):
        before, after = words[:n], words[n + 1 :]
        if verb.text not in COPULAS or not _content(before) or not _content(after):
            continue
        if not _new(before, known) and _new(after, known):
            by = BY.match(text, after[0].start, stop)
            start = by.end() if by else verb.stop
        elif not _new(after, known):
            stop = verb.start
            break
    for n in range(len(words) - 1, REPEATED - 1, -1):
        if _in_a_row([w.text for w in words[:n]], asked) and _new(words[n:], known):
            start = max(start, words[n - 1].stop)
            break
    if (aside := ASIDE.search(text, start, stop)) and _content(w for w in words if start <= w.start < aside.start()):
        stop = aside.start()
    start, stop = trimmed(text, start, stop)
    start += len(text[start:stop]) - len(text[start:stop].lstrip(" ,:;"))
    return (start, stop) if start < stop else sentence


def _vocabulary(question: str) -> frozenset[str]:
    return FUNCTION.union(word.text for word in _words(question))


def _words(text: str, place: Range | None = None) -> list[Word]:
    """Words without articles; of the characters of `place` alone, where it is given."""
    start, stop = place or (0, len(text))
    found = (Word(w.text, w.start + start, w.stop + start) for w in words_at(text[start:stop]))
    return [word for word in found if word.text not in ARTICLES]


def _new(words: Sequence[Word], known: frozenset[str]) -> bool:
    return any(word.text not in known for word in words)


def _content(words: Iterable[Word]) -> bool:
    return any(word.text not in FUNCTION for word in words)


def _in_a_row(wanted: Sequence[str], words: Sequence[str]) -> bool:
    return any(list(words[n : n + len(wanted)]) == list(wanted) for n in range(len(words) - len(wanted) + 1))
