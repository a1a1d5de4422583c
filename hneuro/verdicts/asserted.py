"""What a text asserts: a value that it denies, asks for or only compares with is stated, but not asserted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

from hneuro.verdicts.base import word_list
from hneuro.verdicts.words import normal_words, places, without_points

SENTENCE = re.compile(r"(?<=[!?\n。！？])\s*|(?<=\w{3}\.)\s+|(?<=[\d)\"'”’]\.)\s+")  # but not in "St. Lucia"
CLAUSE = re.compile(r"[,:](?!\d)|[;()–—，、：；（）]|\s-\s|\b(?:but|and|while|whereas)\b", flags=re.IGNORECASE)
# They look like a denial, or a comparison, of what follows, and assert it.
ONLY = re.compile(
    r"\b(?:not (?:only|just|far)|no(?:ne| one|body|thing)? other than|(?:no|without(?: a| any)?) doubt)\b",
    flags=re.IGNORECASE,
)
NEGATIONS, FALSE, COMMON = (frozenset(word_list(kind)) for kind in ("negations", "false", "common"))

CLAUSE_WORDS = 20  # in which a relative clause ends
NEAR = 4  # words around a value with several clauses

Words = list[str]
Place = tuple[int, int]  # [start, stop) of words
Find = Callable[[Words, str], Sequence[Place]]  # where a value stands in the words of a text


def _pattern(text: str) -> re.Pattern[str]:
    """Over normal words, in which ガ is two characters."""
    return re.compile(unicodedata.normalize("NFKD", text))


INSTEAD = _pattern(
    r"\b(?:rather than|instead of|unlike|contrary to|opposed to|compared (?:to|with)|similar to|different from)\b"
    r"|\b(?:near|next to|close to|adjacent to|borders?|bordering|neighbou?ring)(?: (?:to|with|of|the))*$"
    r"|\bno (?:es|fue|era|esta)\b|不 是|不 在|不 叫|[并並] [不非]|而 非|[没沒] 有"
)
THAN = _pattern(
    r"\bthan(?: (?:in|at|of|on|to|that|those|any|its))*$|\b(?:plus|moins|mas|menos) \w+ qu?e?$|\w+er als$|比$"
)
THEN_NOT = _pattern(
    r"^(?:(?:is|was|are|were|did|do|does|has|have|had|can|could|will|would|should|must|may|might) (?:\w+ly )?)"
    r"(?:not|never)\b|^(?:never|cannot)\b|^\w+n t\b|^(?:ist|war|hat|kann) (?:\w+ ){0,2}nicht\b|^n (?:est|etait|a) pas\b"
    r"|^no (?:es|fue|era|esta)\b|^(?:(?:で は|じ ゃ|に は|は|が) )?(?:あ り ま せ ん|な [いかく])|^よ り"
)
AFTER_ALL = re.compile(  # "who never won it was ...", "did not end until ..."
    r"\b(?:who|which|that)\b.*\b(?:not|never|t)\b.*\b(?:is|was|are|were)\b"
    r"|\b(?:not|never|t)\b.*\b(?:until|except)(?: \w+)?$"
)


def finder(aliases: Sequence[str]) -> Find:
    """Finds every alias; a common word only as it is written, as in "the US", or where it is all of a clause."""
    known = [(words, common(alias), alias.strip()) for alias in aliases if (words := words_of(alias))]

    def find(words: Words, text: str) -> list[Place]:
        return [
            place
            for alias, is_common, written in known
            if not is_common or tuple(words) == alias or _written(without_points(written), without_points(text))
            for place in places(words, alias)
        ]

    return find


@lru_cache(maxsize=1 << 16)
def words_of(alias: str) -> tuple[str, ...]:
    return tuple(normal_words(alias))


def common(alias: str) -> bool:
    return " ".join(words_of(alias)) in COMMON


def _written(alias: str, text: str) -> bool:
    """Whether it stands there in its capitals, and not for another reason: "In the year", "I think"."""
    if alias.islower():
        return False
    for found in re.finditer(rf"(?<!\w){re.escape(alias)}(?!\w)", text):
        before = text[: found.start()].rstrip(" *\"'“‘(")
        begins = not before or before[-1] in ".!?:\n"
        shouted = len(alias) > 1 and alias.isupper()
        goes_on = re.match(r"[’']?\w*\s+[a-z]", text[found.end() :])
        if shouted or not goes_on or not (begins or alias == "I"):
            return True
    return False


def asserts(text: str, find: Find, asked: str = "") -> bool:
    """Whether a value is stated, and neither asked for nor denied: "It is not in Brazil" does not assert Brazil.

    A value is denied by a negation before or after it in its clause, by a comparison with it, or by a word like "false"
    anywhere in its clause; but not by words that the question `asked` has as well.
    """
    known = frozenset(normal_words(asked))
    return any(_asserted(clauses, sentence, find, known) for clauses, sentence in _sentences(text))


Part = tuple[Words, str]  # the words of a part of a text, and the part itself


@lru_cache(maxsize=4096)
def _sentences(text: str) -> list[tuple[list[Part], Part]]:
    """The clauses of each sentence that asks nothing, and all of it."""
    statements = [ONLY.sub("", one) for one in SENTENCE.split(text) if one and not one.rstrip().endswith(("?", "？"))]
    return [([(normal_words(c), c) for c in CLAUSE.split(one)], (normal_words(one), one)) for one in statements]


def _asserted(clauses: Sequence[Part], sentence: Part, find: Find, asked: frozenset[str]) -> bool:
    stating = [(words, found) for words, clause in clauses if (found := find(words, clause))]
    if stating:
        return any(not _denied(words, place, asked) for words, found in stating for place in found)
    words = sentence[0]  # a value with a comma in it, or with "and"
    return any(
        not _denied(words[start : stop + NEAR], (place - start, stop - start), asked)
        for place, stop in find(*sentence)
        for start in [max(0, place - NEAR)]
    )


def _denied(clause: Words, place: Place, asked: frozenset[str]) -> bool:
    before, after = clause[: place[0]], clause[place[1] :]
    text_before, text_after = " ".join(before), " ".join(after)
    is_number = clause[place[0]].lstrip("-")[0].isdigit()
    no = any(word == "no" for word in before[1:]) or (before[-1:] == ["no"] and not is_number)
    contracted = any(one.endswith("n") and other == "t" for one, other in pairwise(before))
    negated = no or contracted or not NEGATIONS.isdisjoint(before)
    denies = (negated and not AFTER_ALL.search(" ".join(before[-CLAUSE_WORDS:]))) or THEN_NOT.search(
        text_after
    ) is not None
    compares = INSTEAD.search(text_before) is not None or (THAN.search(text_before) is not None and not is_number)
    return (denies and NEGATIONS.isdisjoint(asked)) or compares or not (FALSE - asked).isdisjoint((*before, *after))
