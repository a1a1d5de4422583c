"""What a model says most often that is not judged correct: a phrase that a rule misses is seen there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hneuro.records import Judgement, Question, Response, Verdict
from hneuro.result_records import FrequentText

KINDS = (Verdict.WRONG, Verdict.REFUSED, Verdict.UNJUDGED)
SHOWN = 5  # texts of a kind


def frequent_texts(judged: Iterable[tuple[Question, Response, Judgement]]) -> tuple[FrequentText, ...]:
    """The commonest texts of each kind over all samples of all questions, with single blanks, the commonest first."""
    counts = {kind: Counter[str]() for kind in KINDS}
    for _, response, judgement in judged:
        if judgement.verdict in counts:
            counts[judgement.verdict][" ".join(response.text.split())] += 1
    return tuple(
        FrequentText(verdict=kind, text=text, count=count)
        for kind, texts in counts.items()
        for text, count in sorted(texts.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    )
