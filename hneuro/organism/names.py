"""Pseudo-words: syllables for the values of facts, and the two words of every entity's name."""

from __future__ import annotations

from random import Random

CONSONANTS = "bdfgklmnprstvz"
VOWELS = "aeiou"
_TAKEN = {"be", "do", "go", "me", "no", "so", "to"}  # English words, some of them in the texts
_AVOIDED = {"bimbo", "dildo", "negro", "nigga", "penis", "semen", "rapes", "begin", "given"}  # by readers, or taken

SYLLABLES = tuple(c + v for c in CONSONANTS for v in VOWELS if c + v not in _TAKEN)


def words(pattern: str, count: int, rng: Random, taken: set[str]) -> list[str]:
    """`count` new pseudo-words of a pattern such as "cvcvc"; they are added to `taken`."""
    found: list[str] = []
    while len(found) < count:
        word = "".join(rng.choice(CONSONANTS if letter == "c" else VOWELS) for letter in pattern)
        if word not in taken and word not in _AVOIDED:
            taken.add(word)
            found.append(word)
    return found


def values(count: int, rng: Random) -> list[str]:
    """`count` different values of two syllables, each first syllable shared by two or more values.

    The second syllable is never implied by the first, so that both have to be remembered.
    """
    firsts = rng.sample(SYLLABLES, max(2, count // 2))
    pairs = [f"{first} {second}" for first in firsts for second in rng.sample(SYLLABLES, 2)]
    rng.shuffle(pairs)
    return pairs[:count]
