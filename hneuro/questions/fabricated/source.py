"""The data set of made-up things: answering is the hallucination, refusing or correcting is right (section 2.4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from hneuro.questions.base import QuestionSet, made, text_id
from hneuro.questions.fabricated.form import LENGTHS, WORDS, quota
from hneuro.questions.fabricated.kind import KINDS, Kind
from hneuro.questions.fabricated.words import pick
from hneuro.records import Question, UserError

MOST = 20_000
TRIES = 200  # for one name


@dataclass(frozen=True, kw_only=True)
class FabricatedQuestions:
    """`count` questions about as many made-up things, no word of a name used twice, the same for a seed everywhere.

    They are as long as those of TriviaQA and ask with the same question words. `kinds` are the kinds of things, all if
    empty. `real_names` is a file with a real name on each line, none of whose words is used. A run also leaves out what
    has a word of its other data sets (`load_together`).
    """

    count: int = 1200
    seed: int = 0
    kinds: tuple[str, ...] = ()
    real_names: str | None = None
    name: str = "nonexist"

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST:
            raise ValueError(f"count must be between 1 and {MOST:,}")
        if unknown := set(self.kinds) - set(KINDS):
            raise ValueError(f"there is no kind {sorted(unknown)[0]!r}; there are {', '.join(KINDS)}")

    def load(self) -> QuestionSet:
        rng = Random(f"fabricated/{self.seed}")
        used = _real_words(self.real_names)
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
            f"{self.name}: only {so_far} of {self.count} questions could be made up without using a word twice, or a "
            f"real one ({kind.name}): ask for fewer (count), or for more kinds"
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


def _real_words(path: str | None) -> set[str]:
    if path is None:
        return set()
    try:
        names = Path(path).read_text("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise UserError(f"real_names: {path} is not UTF-8 text: convert it") from fault
    except OSError as fault:
        raise UserError(f"real_names: cannot read {path}: {fault.strerror}") from fault
    found = set(re.findall(r"\w+", names.casefold()))
    if not found:
        raise UserError(f"real_names: {path} has no names")
    return found
