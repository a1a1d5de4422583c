"""The data set of made-up things: answering is the hallucination, refusing or correcting is right (section 2.4)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from pathlib import Path
from random import Random
from typing import TypeVar

from hneuro.questions.base import QuestionSet, made, text_id
from hneuro.records import Question, UserError

T = TypeVar("T")
MOST = 20_000
TRIES = 200  # for one name

DATA = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
ONSETS, VOWELS, LINKS, COUNTRIES, QUESTION_WORDS = (
    tuple(str(DATA[name]).split()) for name in ("onsets", "vowels", "links", "countries", "question_words")
)
LENGTHS: Mapping[int, int] = {int(words): count for words, count in DATA["lengths"].items()}
WORDS: Mapping[str, int] = DATA["asked"]
ENDINGS: Mapping[str, str] = DATA["endings"]


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
        rest = ask[ask.index("{name}") + len("{name}") :]
        said = ask.replace("{name}", name + aside + ("," if aside and rest[0] == " " else ""))
        for slot in re.findall(r"{(?:year|country)}", said):
            first, last = self.years
            filled = (
                pick(rng, COUNTRIES) if slot == "{country}" else str(first + int(rng.random() * (last - first + 1)))
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


KINDS = {fields["name"]: Kind(**fields) for fields in DATA["kind"]}


@dataclass(frozen=True, kw_only=True)
class FabricatedQuestions:
    """`count` questions about as many made-up things, no word of a name used twice, the same for a seed everywhere.

    They are as long as those of TriviaQA and ask with the same question words. `kinds` are the kinds of things, all if
    empty. A run leaves out what has a word of its other data sets (`load_together`).
    """

    count: int = 1200
    seed: int = 0
    kinds: tuple[str, ...] = ()
    name: str = "nonexist"

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise ValueError(f"count must be between 1 and {MOST:,}")
        if unknown := set(self.kinds) - set(KINDS):
            raise ValueError(f"there is no kind {sorted(unknown)[0]!r}; there are {', '.join(KINDS)}")

    def load(self) -> QuestionSet:
        rng = Random(f"fabricated/{self.seed}")
        used: set[str] = set()
        kinds = [KINDS[name] for name in self.kinds or KINDS]
        forms = zip(quota(rng, WORDS, self.count), quota(rng, LENGTHS, self.count), strict=True)
        questions: list[Question] = []
        for n, (word, length) in enumerate(forms):
            # In turn, but one after the other if this kind is never asked about with that word.
            turn = n % len(kinds)
            kind = next((k for k in [*kinds[turn:], *kinds[:turn]] if any(k.forms(word))), kinds[turn])
            name, coined = self._name(rng, kind, used, len(questions))
            used |= set(coined)
            questions.append(self._question(rng, kind, word, length, name, coined))
        return made(questions, f"made up: {self.count} questions, seed {self.seed}")

    def _name(self, rng: Random, kind: Kind, used: set[str], so_far: int) -> tuple[str, tuple[str, ...]]:
        for _ in range(TRIES):
            name, coined = kind.coined(rng)
            if len(set(coined)) == len(coined) and not used & set(coined):
                return name, coined
        raise UserError(
            f"{self.name}: only {so_far} of {self.count} questions could be made up without using a word twice "
            f"({kind.name}): ask for fewer (count), or for more kinds"
        )

    def _question(
        self, rng: Random, kind: Kind, word: str, length: int, name: str, coined: tuple[str, ...]
    ) -> Question:
        wanted = length - len(name.split())
        forms = list(kind.forms(word)) or [form for other in WORDS for form in kind.forms(other)]
        nearest = min(abs(words - wanted) for words, _, _ in forms)
        _, ask, asides = pick(rng, [form for form in forms if abs(form[0] - wanted) == nearest])
        text = kind.text(rng, ask, asides, name)
        meta = {"kind": kind.name, "coined": coined}
        return Question(
            id=text_id(text), dataset=self.name, text=text, answers=(), entity=name, answerable=False, meta=meta
        )


def quota(rng: Random, shares: Mapping[T, int], count: int) -> list[T]:
    """`count` values in the proportions of `shares`, as exactly as whole numbers allow, in random order."""
    total = sum(shares.values())
    whole = {value: count * share // total for value, share in shares.items()}
    largest = sorted(shares, key=lambda value: count * shares[value] % total, reverse=True)
    for value in largest[: count - sum(whole.values())]:
        whole[value] += 1
    values = [value for value, times in whole.items() for _ in range(times)]
    return [value for _, value in sorted(((rng.random(), value) for value in values), key=lambda pair: pair[0])]


def coin(rng: Random, style: str) -> str:
    """A word of that style, in lower case: "vondremere", "kalthazine"."""
    word = pick(rng, ONSETS) + pick(rng, VOWELS)
    if style not in ("surname", "company") or rng.random() < 0.7:
        word += pick(rng, LINKS) + pick(rng, VOWELS)
    return word + pick(rng, ENDINGS[style].split())


def pick(rng: Random, items: Sequence[T]) -> T:
    """One of `items`. By `random()` alone, whose sequence Python promises to keep."""
    return items[int(rng.random() * len(items))]
