"""The data sets of one run, which share nothing: no question, no entity, and no made-up name that is real elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from hneuro.questions.base import Mark, QuestionSet, QuestionSource, checked, marks
from hneuro.records import Origin, Question
from hneuro.result_records import FunnelStep


def load_together(
    sources: Mapping[str, QuestionSource], limit: int | None
) -> tuple[dict[str, tuple[Question, ...]], tuple[FunnelStep, ...], dict[str, Origin]]:
    """Questions, counts and origins by name. What two sets share stays in the one that is named first.

    Made-up names come last: they must stand in no question and no answer of the others.
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
