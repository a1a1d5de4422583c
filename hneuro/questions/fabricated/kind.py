"""A kind of thing: how its names look, what is asked about it, and what can be said of it in passing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from random import Random

from hneuro.questions.fabricated.words import coin, pick

QUESTION_WORDS = ("which", "what", "who", "how", "where", "when")
COUNTRIES = (
    "Argentina Austria Belgium Bolivia Canada Chile Denmark Ecuador Egypt Estonia Finland France Germany Ghana Greece "
    "Hungary Iceland India Ireland Italy Japan Kenya Latvia Mexico Morocco Nepal Norway Peru Poland Portugal Romania "
    "Scotland Spain Sweden Turkey Uganda Vietnam Wales"
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """`names` are patterns of made-up words by style, "{Given} {Surname}". `asks` ask about {name}, the thing.

    A name at the end of a question may be followed by up to two `asides`, in their order, and elsewhere by one. {year}
    and {country} in them are filled in.
    """

    name: str
    names: Sequence[str]
    asks: Sequence[str]
    asides: Sequence[str]
    years: Sequence[int] = (1780, 2015)  # the first and the last

    def forms(self, word: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        """(words without the name's, question, asides) of everything that can be asked with that question word."""
        for ask in self.asks:
            if question_word(ask) == word:
                fitting = [aside for aside in self.asides if not _gives_away(aside, ask)]
                most = 2 if ask.endswith("{name}?") else 1
                for asides in chain.from_iterable(combinations(fitting, count) for count in range(most + 1)):
                    yield sum(len(text.split()) for text in (ask, *asides)) - 1, ask, asides

    def coined(self, rng: Random) -> tuple[str, tuple[str, ...]]:
        """A name, and the made-up words in it, in lower case."""
        pattern, words = pick(rng, self.names), []
        for style in re.findall(r"{(\w+)}", pattern):
            word = coin(rng, style.lower())
            words.append(word)
            pattern = pattern.replace(f"{{{style}}}", word.capitalize() if style[0].isupper() else word, 1)
        return pattern, tuple(words)

    def text(self, rng: Random, ask: str, asides: tuple[str, ...], name: str) -> str:
        """The question, with its slots filled."""
        aside = "".join(f", {aside}" for aside in asides)
        behind = ask[ask.index("{name}") + len("{name}") :]
        said = ask.replace("{name}", name + aside + ("," if aside and behind[0] == " " else ""))
        for slot in re.findall(r"{(?:year|country)}", said):
            first, last = self.years
            filled = (
                pick(rng, COUNTRIES.split())
                if slot == "{country}"
                else str(first + int(rng.random() * (last - first + 1)))
            )
            said = said.replace(slot, filled, 1)
        return said[0].upper() + said[1:]


def _gives_away(aside: str, ask: str) -> bool:
    """Whether an aside says what is asked, or says it over again: "born in 1720" where somebody was born, or when."""
    if "{year}" in aside and re.search(r"\b(when|year|century)\b", ask.lower()):
        return True
    said, asked = (set(re.findall(r"[a-z]{4,}", text.lower())) for text in (aside, ask))
    return bool(said & asked - set(QUESTION_WORDS))


def question_word(text: str) -> str:
    """The first question word of a text; "" if it has none."""
    words = re.findall(r"[a-z]+", text.lower())
    same = {"whose": "who", "whom": "who"}
    return next((same.get(word, word) for word in words if same.get(word, word) in QUESTION_WORDS), "")


KINDS = {
    fields["name"]: Kind(**fields)
    for fields in tomllib.loads(Path(__file__).with_name("kinds.toml").read_text("utf-8"))["kind"]
}
