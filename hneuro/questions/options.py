"""Multiple-choice questions: their options, which of them is right, and how they are put to a model."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hneuro.records import UserError

LETTERS = string.ascii_uppercase
GoldForm = Literal["auto", "text", "letter", "index"]


@dataclass(frozen=True, kw_only=True)
class OptionLayout:
    """How a question and its options become one text: the stem, a line for each option, the instruction."""

    option: str = "{letter}. {option}"
    instruction: str = "Answer with the letter of the right option only."

    def __post_init__(self) -> None:
        if "{letter}" not in self.option or "{option}" not in self.option:
            raise ValueError("option must contain {letter} and {option}")

    def text(self, stem: str, options: Sequence[str]) -> str:
        # Not `format`: an option may have braces of its own.
        written = [self.option.replace("{letter}", LETTERS[n]) for n in range(len(options))]
        lines = [line.replace("{option}", option) for line, option in zip(written, options, strict=True)]
        return "\n".join([stem, *lines, self.instruction] if self.instruction else [stem, *lines])


def option_texts(cell: Any) -> tuple[str, ...]:
    """Options from a list, or from an object whose keys are their letters. Empty ones at the end do not count.

    Raises `ValueError` for anything else, for one option alone, and for more than there are letters.
    """
    if isinstance(cell, Mapping):
        keys = sorted(str(key) for key, value in cell.items() if plain_text(value))
        if keys != list(LETTERS[: len(keys)]):
            raise ValueError(f"must be an object with the keys A, B, ..., not {', '.join(keys)}")
        cell = [cell[key] for key in keys]
    if not isinstance(cell, list):
        raise ValueError(f"must be a list of options, not {plain_text(cell)[:40]!r}")
    texts = [plain_text(value) for value in cell]
    while texts and not texts[-1]:
        texts.pop()
    if not all(texts):
        raise ValueError("has an empty option between others")
    if len(texts) == 1 or len(texts) > len(LETTERS):
        raise ValueError(f"must have 2 to {len(LETTERS)} options, not {len(texts)}")
    return tuple(texts)


def right_option(said: Any, options: Sequence[str], form: GoldForm) -> int | None:
    """Which option a gold answer means: its text, its letter, or its index from 0. None: it says that none is known.

    An index of -1 says so, as in the hidden test labels of MedMCQA. Raises `ValueError` for an answer that is not an
    option and, with "auto", for one that different forms read differently: 1 is the second option, unless one is "1".
    """
    text = plain_text(said)
    readings: set[int] = set()
    if form in ("auto", "text") and text in options:
        readings.add(list(options).index(text))
    if form in ("auto", "letter") and len(text) == 1 and text in LETTERS[: len(options)]:
        readings.add(LETTERS.index(text))
    if form in ("auto", "index") and (number := _whole(text)) is not None and -1 <= number < len(options):
        readings.add(number)
    if len(readings) > 1:
        raise ValueError(f"{text!r} may mean different options: say whether it is a text, a letter or an index")
    if not readings:
        raise ValueError(f"{text[:40]!r} is none of the {len(options)} options" + f", as {form}" * (form != "auto"))
    (found,) = readings
    return None if found < 0 else found


def _whole(text: str) -> int | None:
    """The whole number that a text is. A column with gaps makes 2 a 2.0."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() else None


def plain_text(value: Any) -> str:
    """The text of a cell, empty where the cell is. `UserError` for a list or an object."""
    if isinstance(value, list | Mapping):
        raise UserError(f"text is needed where the data has {json.dumps(value, default=str)[:60]}")
    return "" if value is None or value != value else str(value).strip()  # NaN alone differs from itself
