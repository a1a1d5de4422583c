"""What every data set gives, the checks that all of them pass, and the data sets of one run, which share nothing."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from hneuro.questions.rows import digest
from hneuro.records import Origin, Question, UserError
from hneuro.result_records import FunnelStep

ARTICLES = frozenset(("a", "an", "the"))
QUOTES = str.maketrans("‘’‛´`“”„", "'''''\"\"\"")
Mark = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class QuestionSet:
    """The questions of a data set in a fixed order, where they came from, and why other rows are not among them."""

    questions: tuple[Question, ...]
    origin: Origin
    left_out: Mapping[str, int] = field(default_factory=dict)  # reason -> count


@runtime_checkable
class QuestionSource(Protocol):
    """A part of the dataset config."""

    @property
    def name(self) -> str:
        """The name under which the questions appear in tables."""

    def load(self) -> QuestionSet:
        """All questions; `UserError` where they cannot be read."""


def normal_text(text: str) -> str:
    """Two questions with the same normal text are the same question.

    Lower case, one kind of quotes, blanks collapsed, nothing that closes a sentence. Other signs stay: 2+2 is not 2-2.
    """
    plain = unicodedata.normalize("NFKC", text.translate(QUOTES)).casefold()
    return " ".join(plain.split()).rstrip("?!. ")


def text_id(text: str) -> str:
    """The id of a question that has none: 16 hex digits of its normal text, the same everywhere and always."""
    return hashlib.sha256(normal_text(text).encode()).hexdigest()[:16]


def marks(question: Question) -> tuple[Mark, Mark]:
    """What no other data set of a run may share."""
    return ("entity", question.entity), ("text", normal_text(question.text))


def checked(
    found: QuestionSet, name: str, limit: int | None, taken: Mapping[Mark, str] | None = None
) -> tuple[tuple[Question, ...], FunnelStep]:
    """Drops repeated, ambiguous and unanswered questions with a count, and refuses what no run could use.

    `taken` are the marks of the data sets before this one, with their names: what they share is theirs. Above `limit` a
    random part is kept, in its order and the same every time: files are often sorted.
    """
    entered = len(found.questions) + sum(found.left_out.values())
    if not entered:
        raise UserError(f"dataset {name} has no questions: check its path and its column names")
    kept: list[Question] = []
    lost = Counter(found.left_out)
    ids: set[str] = set()
    seen: set[str] = set()
    for question in found.questions:
        if not question.text.strip():
            raise UserError(f"dataset {name}: question {question.id!r} has no text")
        text = normal_text(question.text)
        if text in seen:
            lost["repeated question text"] += 1
            continue
        if question.id in ids:
            raise UserError(
                f"dataset {name} has the question id {question.id!r} more than once, with different questions"
            )
        seen.add(text)
        ids.add(question.id)
        reason = _unusable(question, taken or {})
        if reason:
            lost[reason] += 1
        else:
            kept.append(question)
    if not kept:
        raise UserError(f"dataset {name}: none of its {entered} questions is left ({_listed(lost)})")
    if limit is not None and len(kept) > limit:
        lost["over the limit"] = len(kept) - limit
        kept = [kept[n] for n in sorted(np.random.default_rng(0).choice(len(kept), size=limit, replace=False))]
    step = FunnelStep(
        stage="questions", dataset=name, unit="questions", entered=entered, left=len(kept), lost=dict(lost)
    )
    return tuple(kept), step


def _unusable(question: Question, taken: Mapping[Mark, str]) -> str:
    """Why a question cannot be used; "" where it can."""
    for mark in marks(question):
        if mark in taken:
            return f"also in {taken[mark]}"
    if len(set(question.options)) < len(question.options):
        return "repeated option"
    needs_gold = question.answerable and not question.meta.get("judged")
    return "no gold answer" if needs_gold and not any(a.strip() for a in question.answers) else ""


def _listed(lost: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in lost.items())


def made(questions: Sequence[Question], source: str) -> QuestionSet:
    """Questions that no file holds; `source` says what made them."""
    fingerprint = digest((q.id, q.text, q.answers, q.entity, q.answerable, q.options) for q in questions)
    origin = Origin(source=source, revision="", fingerprint=fingerprint, rows=len(questions))
    return QuestionSet(questions=tuple(questions), origin=origin)


def load_together(
    sources: Mapping[str, QuestionSource], limit: int | None
) -> tuple[dict[str, tuple[Question, ...]], tuple[FunnelStep, ...], dict[str, Origin]]:
    """Questions, counts and origins by name. What two sets share stays in the one that is named first.

    Made-up names come last: no question and no answer of the others may hold them.
    """
    found = {name: source.load() for name, source in sources.items()}
    taken: dict[Mark, str] = {}
    words: dict[str, str] = {}  # a word of a real question -> its data set
    kept: dict[str, tuple[Question, ...]] = {}
    steps: dict[str, FunnelStep] = {}
    for name in sorted(found, key=lambda name: _is_made_up(found[name])):  # stable
        kept[name], steps[name] = checked(_without(found[name], words), name, limit, taken)
        for question in kept[name]:
            taken |= {mark: name for mark in marks(question) if mark not in taken}
            if not question.meta.get("coined"):
                words |= {word: name for word in _words((question.text, *question.answers)) if word not in words}
    origins = {name: found[name].origin for name in found}
    return {name: kept[name] for name in found}, tuple(steps[name] for name in found), origins


def _is_made_up(questions: QuestionSet) -> bool:
    return any(question.meta.get("coined") for question in questions.questions)


def _without(questions: QuestionSet, words: Mapping[str, str]) -> QuestionSet:
    """Leaves out questions about a made-up name that has a word of a real question."""
    lost = Counter(questions.left_out)
    left = []
    for question in questions.questions:
        shared = next((words[word] for word in question.meta.get("coined", ()) if word in words), None)
        if shared is None:
            left.append(question)
        else:
            lost[f"its name has a word of {shared}"] += 1
    return replace(questions, questions=tuple(left), left_out=lost)


def _words(texts: Iterable[str]) -> set[str]:
    return set(re.findall(r"\w+", " ".join(texts).casefold()))
