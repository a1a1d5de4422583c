"""Where a response states a gold answer, in the eyes of the rule judge."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from hneuro.spans.normal import words_at
from hneuro.spans.tokens import Range
from hneuro.verdicts.answer_part import answer_part
from hneuro.verdicts.asserted import common
from hneuro.verdicts.words import key, normal_words, without_points

TAIL = re.compile(r"[#♯+−-]{0,2}(?!\w)")  # of C++
SLACK = 5  # words that a text may have more than its normal form, or than another text of the same form


def gold_places(answers: Sequence[str], text: str, whole: Range) -> list[Range]:
    """Where the longest gold answer within `whole` stands, else the longest of those anywhere; none if none does.

    A gold answer stands where the text has the same normal words as it has. They are the rule judge's own, so that
    whatever is one and the same to it (numbers, accents, articles) is so here. A common word stands where it is written
    as in the answer; nothing in the reasoning counts.
    """
    forms = {form: len(words_at(answer)) for answer in answers if (form := _form(answer))}
    as_is = {_form(answer): without_points(answer.strip()) for answer in answers if common(answer)}
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
                form = _form(said)
                if form not in forms or without_points(said) != as_is.get(form, without_points(said)):
                    continue
                if form not in found or found[form][-1][1] <= place[0]:
                    found.setdefault(form, []).append(place)
    within = [kept for places in found.values() if (kept := [p for p in places if inside(p, whole)])]
    return max(within or found.values(), key=lambda places: places[0][1] - places[0][0], default=[])


def inside(place: Range, whole: Range) -> bool:
    return whole[0] <= place[0] and place[1] <= whole[1]


@lru_cache(maxsize=1 << 16)
def _form(text: str) -> str:
    return key(normal_words(text))
