"""Questions about facts of the real world, and about made-up things of the same kinds."""

from __future__ import annotations

import re
import tomllib
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
WORDINGS: Mapping[str, Mapping[str, str]] = tomllib.loads((FACTS / "wordings.toml").read_text("utf-8"))
REAL = {wording.get("made_up", domain): domain for domain, wording in WORDINGS.items()} | {d: d for d in WORDINGS}
LONGER = ("South America", "Central America", "Latin America")  # not America


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
        return made([self._question(row) for row in rows], f"facts of the world: {self.domain}")

    def _question(self, row: Row) -> Question:
        wording, name = WORDINGS[REAL[self.domain]], str(row["name"])
        entity = name.removeprefix("the ")
        meta: dict[str, Any] = {"claim": wording["claim"].replace("{name}", name), "kind": wording["kind"]}
        answers = tuple(row.get("answers", ()))
        if answers:
            meta["answer_key"] = answers[0]
            if "count" in row:
                meta["count"] = row["count"]
        else:
            meta |= {"coined": tuple(re.findall(r"\w+", name.casefold())), "count": 0}
        if "names" in wording:
            names = _names(wording["names"])
            answers = tuple(alias for key in answers for alias in names[key])
        return Question(
            id=f"{self.domain}/{entity.replace(' ', '_')}",
            dataset=self.domain,
            text=wording["question"].format(name=name),
            answers=answers,
            entity=entity,
            answerable=bool(answers),
            candidates=_candidates(REAL[self.domain]),
            meta=meta,
        )


@cache
def _candidates(domain: str) -> tuple[str, ...]:
    """The names of every country (or state), and longer names that only contain one; none where answers are made up."""
    if "names" not in WORDINGS[domain]:
        return ()  # "Kougou" is the answer of who takes it for a capital
    listed = [name for names in _names(WORDINGS[domain]["names"]).values() for name in names]
    return tuple(sorted({*listed, *LONGER}))


@cache
def _names(file: str) -> Mapping[str, tuple[str, ...]]:
    return {row["key"]: tuple(row["names"]) for row in read_rows(FACTS / f"{file}.jsonl")}
