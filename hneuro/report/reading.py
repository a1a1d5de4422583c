"""Sample responses as the page shows them: each token with its risk as a colour."""

from __future__ import annotations

from dataclasses import dataclass

from hneuro.report.wording import missing, number, percent, plain
from hneuro.result_records import ColouredResponse

GOLD_SHOWN = 5
DEEPEST = 0.8  # opacity of the colour at a risk of 1, so that the text stays readable


@dataclass(frozen=True, kw_only=True)
class ReadableToken:
    text: str
    opacity: str
    title: str
    in_answer: bool


@dataclass(frozen=True, kw_only=True)
class ReadableResponse:
    dataset: str
    question: str
    gold: str
    verdict: str
    score: str
    tokens: tuple[ReadableToken, ...]


def readable(response: ColouredResponse) -> ReadableResponse:
    more = len(response.gold) - GOLD_SHOWN
    return ReadableResponse(
        dataset=plain(response.dataset),
        question=response.question,
        gold=", ".join(response.gold[:GOLD_SHOWN]) + (f", and {more} more" if more > 0 else ""),
        verdict=response.verdict.value,
        score=percent(response.score, 0),
        tokens=tuple(
            ReadableToken(
                text=text,
                opacity="0" if missing(risk) else f"{DEEPEST * min(max(risk, 0.0), 1.0):.3f}",
                title=f"risk {number(risk, 2)}" + (", answer token" if in_answer else ""),
                in_answer=in_answer,
            )
            for text, risk, in_answer in zip(response.tokens, response.risks, response.in_answer, strict=True)
        ),
    )
