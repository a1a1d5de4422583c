"""The answer of an answer-only response: a letter, or all of it but filler, quotes, closing punctuation and remarks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hneuro.questions.options import LETTERS
from hneuro.records import AnswerSpan, Question, Response
from hneuro.spans.base import Item, no_span, span_at
from hneuro.spans.tokens import Decode, Range, tokens_at
from hneuro.verdicts.base import word_list
from hneuro.verdicts.letter import ANSWER
from hneuro.verdicts.rule import answer_part
from hneuro.verdicts.words import NORMAL_FORM

MARKUP = "*_`"
CLOSING = MARKUP + ".!;,…。．！；，、"
PAIRS = {'"': '"', "'": "'", "’": "’", "”": "”", "“": "”", "‘": "’", "„": "“”", "«": "»", "‹": "›", "「": "」",
         "『": "』", "(": ")", "[": "]"}  # fmt: skip
QUOTES = '"“”„«»'  # never an apostrophe: without its partner, one is left over from a cut
ABBREVIATION = re.compile(r"(\b\w\.){2,}$")  # "R.E.M.", "Washington, D.C."
# The only brackets of an answer, at its end. "(UCL)" is another name of it; "(player), ... (coach)" are parts of it.
GLOSS = re.compile(r"[^()（）\[\]]*\S(?P<gloss>\s+\((?![A-Z]{2,}\))[^()]*\)?|\s+\[[^\[\]]*\]?|（[^（）]*）?)")
BLANK_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True, kw_only=True)
class ShortAnswer:
    """The response without leading filler, enclosing quotes, closing punctuation and markup.

    `gloss`: a closing remark in brackets explains the answer, as in "Timur (Tamerlane)", and is not part of it.
    `paragraphs`: what follows the first blank line explains, too. `max_share` of the response that an answer may be:
    below 1 it refuses long-winded responses.
    """

    fillers: tuple[str, ...] = word_list("answer_fillers")
    gloss: Literal["drop", "keep"] = "drop"
    paragraphs: Literal["first", "all"] = "first"
    max_share: float = 1.0
    normal_form: int = field(init=False, default=NORMAL_FORM)
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for filler in self.fillers:
            try:
                re.compile(filler)
            except re.error as fault:
                raise ValueError(f"the filler {filler!r} is not a regular expression ({fault})") from fault
        if not 0 < self.max_share <= 1:
            raise ValueError(f"max_share must be above 0 and at most 1, not {self.max_share}")

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        return tuple(self._span(response, decode) for _, response in items)

    def _span(self, response: Response, decode: Decode) -> AnswerSpan:
        start, stop = self.characters(response.text)
        if start == stop:
            return no_span(response, "nothing but filler", "short_answer")
        answer = response.token_ids[response.thought :]
        if len(tokens_at([(start, stop)], answer, decode)) > self.max_share * len(answer):
            return no_span(response, "the answer is most of a long response", "short_answer")
        return span_at(response, [(start, stop)], decode, "short_answer")

    def characters(self, text: str) -> Range:
        """The answer's characters [start, stop); start = stop where the text has none."""
        start, stop = self._bare(text, *(answer_part(text) or (0, 0)))
        if self.paragraphs == "first" and (blank := BLANK_LINE.search(text, start, stop)):
            start, stop = self._bare(text, start, blank.start())
        return start, stop

    def _bare(self, text: str, start: int, stop: int) -> Range:
        before = (-1, -1)
        while before != (start, stop):
            before = (start, stop)
            start, stop = trimmed(text, start, stop)
            start, stop = _unquoted(text, start, stop)
            for filler in self.fillers:
                if found := re.compile(filler, re.IGNORECASE).match(text, start, stop):
                    start = found.end()
            if self.gloss == "drop" and (remark := GLOSS.fullmatch(text, start, stop)):
                stop = remark.start("gloss")
        return start, stop


@dataclass(frozen=True, kw_only=True)
class LetterLocator:
    """The letter that the letter judge reads: "B" of " (B)" and of "B. Tiber", nothing of "Because"."""

    letters: ClassVar[bool] = True

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        return tuple(self._span(question, response, decode) for question, response in items)

    def _span(self, question: Question, response: Response, decode: Decode) -> AnswerSpan:
        said = ANSWER.fullmatch(response.text)
        if not said:
            return no_span(response, "no letter alone", "letter")
        if said[1] not in LETTERS[: len(question.options)]:
            return no_span(response, "no option has this letter", "letter")
        return span_at(response, [said.span(1)], decode, "letter")


def trimmed(text: str, start: int, stop: int) -> Range:
    """Without blanks and markup on both sides, and without closing punctuation but that of an abbreviation."""
    while start < stop and (text[start].isspace() or text[start] in MARKUP):
        start += 1
    while start < stop and (text[stop - 1].isspace() or text[stop - 1] in CLOSING):
        if ABBREVIATION.search(text, start, stop):
            break
        stop -= 1
    return start, stop


def _unquoted(text: str, start: int, stop: int) -> Range:
    """Without quotes or brackets around all of it; `"Yes" and "No"` keeps them, as each has its partner inside."""
    if stop - start < 2:
        return start, stop
    first, last, inside = text[start], text[stop - 1], text[start + 1 : stop - 1]
    partners = PAIRS.get(first, "")
    if last in partners and partners and not _closes(first, inside):
        return start + 1, stop - 1
    if first in QUOTES and not any(p in text[start + 1 : stop] for p in partners):
        return start + 1, stop
    if last in QUOTES and not any(last in p and q in text[start : stop - 1] for q, p in PAIRS.items()):
        return start, stop - 1
    return start, stop


def _closes(opening: str, inside: str) -> bool:
    """Whether the partner of `opening` stands inside. An apostrophe within a word is nobody's partner."""
    depth = 1
    for n, c in enumerate(inside):
        within = 0 < n < len(inside) - 1 and inside[n - 1].isalnum() and inside[n + 1].isalnum()
        if c in PAIRS[opening] and not within:
            depth -= 1
        elif c == opening:
            depth += 1
        if depth == 0:
            return True
    return False
