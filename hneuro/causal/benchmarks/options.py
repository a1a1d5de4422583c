"""Which option an answer picks: by its label, or by its text. Where that is not plain, none: never a guess."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hneuro.verdicts.words import normal_words, states

MOST_OTHER_WORDS = 12  # around an option's text, beyond which a text may weigh options instead of picking one
DENIAL = re.compile(r"\b(not|never|wrong|incorrect|except|cannot)\b|n['’]t\b", flags=re.IGNORECASE)
RIGHT = r"\s+(?:is|would\s+be|seems|appears\s+to\s+be)\s+(?:the\s+)?(?:right|correct|best|most)\b"
REJECTED = r"(?:is|was)\s+(?:wrong|incorrect|not\s+(?:right|correct|the))\b"
BEHIND = r"(?=\s*(?:[).,;:!?\]]|$|\n|-|because\b|since\b|as\b|and\b))"  # not "the answer is A car"


def chosen(text: str, labels: Sequence[str], options: Sequence[str] = ()) -> str | None:
    """The one of `labels` (letters, or digits) that an answer picks, None where it picks none or several.

    A label counts where it is alone, opens the answer ("B) ...", "(B)", "**B**", "B. ..."), or is called the answer
    ("The answer is B", "Option B"). A capital that begins a word never does: Carbon is not C. Without a label, the text
    of exactly one option counts. `options` are parallel to `labels`.
    """
    plain = re.sub(r"[*_`#]", "", text).strip()
    label = _opening(plain, labels) or _stated(plain, labels)
    told = _by_text(plain, labels, options)
    if label is None:
        return told
    # "A) Mars", where Mars is B, picks neither; nor does a bare 2 if an option says 2.
    after = re.sub(rf"^\W*{re.escape(label)}\W*", "", plain)
    others = {_by_text(part, labels, options, exactly=True) for part in (plain, after)} - {None, label}
    return None if others else label


def _opening(plain: str, labels: Sequence[str]) -> str | None:
    """The label that a text begins with. A dot must end it: 1.5 is not option 1."""
    either = "|".join(map(re.escape, labels))
    found = re.match(rf"\W*({either})(?:\W*$|\s*(?:[)\]]|[.:](?=\s|$)|\n|[-–—]\s))", plain)
    if found and re.match(rf"\s*(?:(?:or|and)\s+\(?(?:{either})\b|{REJECTED})", plain[found.end() :]):
        return None
    if not found and (alone := re.fullmatch(rf"\W*({either})\W*|\(({either})\).*", plain, flags=re.I | re.S)):
        return next(label for label in labels if label.lower() == (alone[1] or alone[2]).lower())
    return found[1] if found else None


def _stated(plain: str, labels: Sequence[str]) -> str | None:
    """The label that a text calls the answer, if it calls only one so."""
    either = "|".join(map(re.escape, labels))
    called = r"(?i:\b(?:answer|option|choice)\b(?:\s+(?:is|was|remains|would\s+be|should\s+be|must\s+be))?\s*:?\s*"
    called += r"(?:still\s+)?(?:option\s+|choice\s+)?)"
    found = set(re.findall(rf"{called}\(?({either})\b{BEHIND}", plain))
    found |= set(re.findall(rf"(?<!\w)\(?({either})\)?(?i:{RIGHT})", plain))
    if not found and not DENIAL.search(plain):
        found = set(re.findall(rf"\(({either})\)", plain))
    return found.pop() if len(found) == 1 else None


def _by_text(plain: str, labels: Sequence[str], options: Sequence[str], exactly: bool = False) -> str | None:
    """The label of the option whose text this is, or, unless `exactly`, of the only option that it states."""
    words = normal_words(plain)
    written = {label: normal_words(option) for label, option in zip(labels, options, strict=False)}
    same = [label for label, option in written.items() if option and option == words]
    if same or exactly:
        return same[0] if len(same) == 1 else None
    stated = [label for label, option in written.items() if option and states(words, option)]
    # "less water" is stated in "less water for plants", but not meant.
    widest = [a for a in stated if not any(a != b and states(written[b], written[a]) for b in stated)]
    if len(widest) != 1:
        return None
    other_words = len(words) - len(written[widest[0]])
    denied = DENIAL.search(plain) and not DENIAL.search(" ".join(written[widest[0]]))
    return None if denied or other_words > MOST_OTHER_WORDS else widest[0]
