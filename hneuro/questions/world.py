"""Questions about facts of the real world, and about things of the same kinds that do not exist."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from hneuro.questions.base import QuestionSet, made
from hneuro.questions.rows import Row, read_rows
from hneuro.records import Question

FACTS = Path(__file__).parent / "facts"
Domain = Literal[
    "cities",
    "us_cities",
    "airports",
    "capitals",
    "currencies",
    "elements",
    "atomic_numbers",
    "fabricated_cities",
    "fabricated_countries",
    "fabricated_elements",
]
DOMAINS: tuple[Domain, ...] = get_args(Domain)
LONGER = ("South America", "Central America", "Latin America")  # not America


@dataclass(frozen=True, kw_only=True)
class Wording:
    """`kind` is what the answer is. `names`: the file with the names of the answers, whose keys the rows hold."""

    question: str
    claim: str
    kind: str
    names: str = ""


CITY = Wording(
    question="In which country is the city of {name}?",
    claim="The city of {name} is located in {answer}.",
    kind="country",
    names="country_names",
)
CAPITAL = Wording(question="What is the capital of {name}?", claim="The capital of {name} is {answer}.", kind="capital")
ELEMENT = Wording(
    question="What is the chemical symbol of the element {name}?",
    claim="The chemical symbol of the element {name} is {answer}.",
    kind="symbol",
)
WORDINGS: Mapping[Domain, Wording] = {
    "cities": CITY,
    "us_cities": Wording(
        question="In which state of the United States is the city of {name}?",
        claim="The city of {name} is located in the state of {answer}.",
        kind="state",
        names="state_names",
    ),
    "airports": Wording(
        question="In which country is the airport with the IATA code {name}?",
        claim="The airport with the IATA code {name} is located in {answer}.",
        kind="country",
        names="country_names",
    ),
    "capitals": CAPITAL,
    "currencies": Wording(
        question="What is the currency of {name}?", claim="The currency of {name} is the {answer}.", kind="currency"
    ),
    "elements": ELEMENT,
    "atomic_numbers": Wording(
        question="What is the atomic number of the element {name}?",
        claim="The atomic number of the element {name} is {answer}.",
        kind="atomic number",
    ),
    "fabricated_cities": CITY,
    "fabricated_countries": CAPITAL,
    "fabricated_elements": ELEMENT,
}


@dataclass(frozen=True, kw_only=True)
class WorldQuestions:
    """One domain: a question about each of its things, which is its entity.

    `meta`: `claim` states the fact with {answer} left open; `kind` is what the answer is; `answer_key` is the same for
    questions with the same answer; `count` is how many people live there (none for elements), 0 of what is made up.
    The facts are made by scripts/make_world; facts/NOTICE says where they are from.
    """

    domain: Domain

    @property
    def name(self) -> str:
        return self.domain

    def load(self) -> QuestionSet:
        rows = read_rows(FACTS / f"{self.domain}.jsonl")
        candidates = _candidates(WORDINGS[self.domain])
        return made([self._question(row, candidates) for row in rows], f"facts of the world: {self.domain}")

    def _question(self, row: Row, candidates: tuple[str, ...]) -> Question:
        wording, name = WORDINGS[self.domain], str(row["name"])
        entity = name.removeprefix("the ")
        meta: dict[str, Any] = {"claim": wording.claim.replace("{name}", name), "kind": wording.kind}
        answers = tuple(row.get("answers", ()))
        if answers:
            meta["answer_key"] = answers[0]
            if "count" in row:
                meta["count"] = row["count"]
        else:
            meta |= {"coined": tuple(re.findall(r"\w+", name.casefold())), "count": 0}
        if wording.names:
            names = _names(wording.names)
            answers = tuple(alias for key in answers for alias in names[key])
        return Question(
            id=f"{self.domain}/{entity.replace(' ', '_')}",
            dataset=self.domain,
            text=wording.question.format(name=name),
            answers=answers,
            entity=entity,
            answerable=bool(answers),
            candidates=candidates,
            meta=meta,
        )


@cache
def _candidates(wording: Wording) -> tuple[str, ...]:
    """The names of every answer of this kind, and longer names that only contain one."""
    if wording.names:
        listed = [name for names in _names(wording.names).values() for name in names]
    else:
        real = next(d for d in DOMAINS if WORDINGS[d] is wording and not d.startswith("fabricated"))
        listed = [name for row in read_rows(FACTS / f"{real}.jsonl") for name in row["answers"]]
    return tuple(sorted({*listed, *LONGER}))


@cache
def _names(file: str) -> Mapping[str, tuple[str, ...]]:
    return {row["key"]: tuple(row["names"]) for row in read_rows(FACTS / f"{file}.jsonl")}
