"""Wrong values to plant: the gold answers of other questions of the same data set and kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from random import Random

from hneuro.records import Fact, Question
from hneuro.verdicts.asserted import Find, Place, Words, common
from hneuro.verdicts.words import normal_words, states

Aliases = tuple[str, ...]
TRIES = 20  # before all values are gone through
SHORTEST = 3  # letters of a value that is looked for without having been planted: "it" is a novel, too


@dataclass(frozen=True, kw_only=True)
class Values:
    """By data set and kind, the distinct values with all their aliases; the first one is what is planted."""

    by_kind: Mapping[str, tuple[Aliases, ...]]

    @classmethod
    def of(cls, questions: Sequence[Question]) -> Values:
        """The gold answers of questions about what exists, asked for in words."""
        found: dict[str, dict[str, dict[str, None]]] = {}
        for question in questions:
            if question.answers and question.answerable and not question.options:
                value = found.setdefault(kind_of(question), {}).setdefault(_plain(question.answers[0]), {})
                value.update(dict.fromkeys(question.answers))
        named = {kind: sorted(name for name in own if name) for kind, own in found.items()}
        return cls(by_kind={kind: tuple(tuple(found[kind][n]) for n in names) for kind, names in named.items()})

    def planted(self, question: Question) -> Aliases | None:
        """A wrong value of the question's kind, drawn by its id; None where there is none to tell from the right one.

        No alias of it is the beginning of a right one, has one in it or is in one, and the question mentions none.
        """
        own = self.by_kind.get(kind_of(question), ())
        rng = Random(f"{question.dataset}/{question.id}")
        for _ in range(TRIES if own else 0):  # seldom more than one
            if not clash(drawn := rng.choice(own), question):
                return drawn
        left = [value for value in own if not clash(value, question)]
        return rng.choice(left) if left else None

    def askable(self, facts: Sequence[Fact]) -> tuple[Fact, ...]:
        """The facts that have a wrong value, and a right one that is neither a common word nor in the question."""
        return tuple(
            fact
            for fact in facts
            if not common(fact.question.answers[0])
            and not _mentions(fact.question, fact.question.answers)
            and self.planted(fact.question)
        )

    def other_than(self, question: Question) -> Find:
        """Finds any value of the question's kind that is not a right one."""
        known = self._index[kind_of(question)]

        def find(words: Words, _: str) -> list[Place]:
            return [
                (place, place + len(alias))
                for place, word in enumerate(words)
                for alias, value in known.get(word, ())
                if tuple(words[place : place + len(alias)]) == alias and not clash(value, question)
            ]

        return find

    @cached_property
    def _index(self) -> Mapping[str, Mapping[str, list[tuple[tuple[str, ...], Aliases]]]]:
        """Kind -> first word -> the aliases that begin with it, and the value of each."""
        found: dict[str, dict[str, list[tuple[tuple[str, ...], Aliases]]]] = {}
        for kind, values in self.by_kind.items():
            known = found.setdefault(kind, {})
            for value in values:
                for alias in value:
                    if len(plain := _plain(alias)) >= SHORTEST or any(c.isdigit() for c in plain):
                        words = tuple(plain.split())
                        known.setdefault(words[0], []).append((words, value))
        return found


def kind_of(question: Question) -> str:
    """Named by the data set; else whether the answer is a number, so that no year is planted for a name."""
    kind = question.meta.get("kind")
    if kind is None:
        kind = "number" if any(c.isdigit() for c in question.answers[0]) else "words"
    return f"{question.dataset}/{kind}"


def clash(value: Aliases, question: Question) -> bool:
    """Whether a value could be taken for a right answer or for a common word, or is mentioned by the question."""
    return common(value[0]) or _mentions(question, value) or any(_alike(a, b) for a in value for b in question.answers)


def _alike(one: str, other: str) -> bool:
    first, second = _plain(one), _plain(other)
    if not first or not second:
        return True
    nested = states(first.split(), second.split()) or states(second.split(), first.split())
    return nested or first.startswith(second) or second.startswith(first)


def _mentions(question: Question, value: Aliases) -> bool:
    asked = _plain(question.text).split()
    return any(states(asked, alias.split()) for alias in map(_plain, value) if alias)


@lru_cache(maxsize=1 << 16)
def _plain(text: str) -> str:
    return " ".join(normal_words(text))
