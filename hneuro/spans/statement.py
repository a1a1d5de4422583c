"""The part of a sentence that says something new: what repeats the question is no answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hneuro.questions.base import ARTICLES
from hneuro.spans.normal import Word, words_at
from hneuro.spans.short_answer import trimmed
from hneuro.spans.tokens import Range

COPULAS = frozenset(("is", "are", "was", "were"))
FUNCTION = frozenset(("of", "in", "on", "at", "to", "for", "by", "from", "with", "and", "or", "as", "that", "it", "its",
                      "his", "her", "he", "she", "they", "their", "this", "there", "what", "who", "which", "where",
                      "when", *COPULAS))  # fmt: skip
BREAK = re.compile(r"\n\s*\n|(?<=[.!?。！？])(?:\s+(?=\W*[^\W_a-z])|(?<=[。！？]))")
NO_END = re.compile(r"\b(\w|[A-Z][a-z]{1,2}|\d+)\.$")  # "J.", "St.", "12."
ASIDE = re.compile(r",\s+(which|who|whose|where|when|because)\b", re.IGNORECASE)
BY = re.compile(r"\w+\s+by\s+")  # "was written by"
REPEATED = 4  # words in a row: fewer may stand in question and answer by chance


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
    """The sentence without a beginning or an end that only repeats the question, and without a clause behind it.

    "The capital of France is Lyon, which lies on the Rhone" is "Lyon" to "What is the capital of France?", and
    "Lyon is the capital of France" as well. A sentence without anything new stays whole.
    """
    asked, known = [w.text for w in _words(question)], _vocabulary(question)
    start, stop = sentence
    words = _words(text, sentence)
    if not _new(words, known):
        return sentence
    for n, verb in enumerate(words):
        before, behind = words[:n], words[n + 1 :]
        if verb.text not in COPULAS or not _content(before) or not _content(behind):
            continue
        if not _new(before, known) and _new(behind, known):
            by = BY.match(text, behind[0].start, stop)
            start = by.end() if by else verb.stop
        elif not _new(behind, known):
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
