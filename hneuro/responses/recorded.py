"""Responses that were sampled elsewhere, or last month: nothing is sampled again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from hneuro.models.language_model import LanguageModel
from hneuro.questions.base import normal_text
from hneuro.questions.recorded import Recorded, Responses, read_recordings
from hneuro.records import ASIDE, Question, Response, UserError
from hneuro.responses.sampler import check_texts, decodes_to, lost, response, token_ids_of

NOT_ITS_TEXT = "the tokens do not decode to the text"


@dataclass(frozen=True, kw_only=True)
class RecordedSampler:
    """The first `samples` responses to each question that files hold, found by the question's id.

    Token ids of the file must decode to its text; where there are none, they are derived from it once. A response
    whose tokens do not decode to its text is lost, with that reason. `base_paths` are what the base model said.
    """

    paths: tuple[str, ...] = field(metadata=ASIDE)  # the key holds their content
    base_paths: tuple[str, ...] = field(default=(), metadata=ASIDE)
    samples: int = 10
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.paths:
            raise ValueError("samples must be at least 1, and paths must name a file")

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        return {**model.asked, "recordings": [_digest(path) for path in self._paths(model)]}

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        check_texts(model, questions)
        recorded = self._recorded(model)
        missing = [question for question in questions if not recorded.get(question.id)]
        if missing:
            raise UserError(
                f"{', '.join(self._paths(model))}: no recorded responses to {len(missing)} of {len(questions)} "
                f"questions, such as {missing[0].id!r} of {missing[0].dataset}: name every file in "
                f"sampling.{'base_paths' if model.is_base else 'paths'}, or ask only what was recorded"
            )

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        recorded = self._recorded(model)
        made = []
        for question in questions:
            found = recorded[question.id]
            if len(found) < samples:
                raise UserError(
                    f"question {question.id!r} has {len(found)} recorded responses, and {samples} are asked for: "
                    f"choose sampling.samples={len(found)}"
                )
            prompt = model.prompt_ids(question.text)
            made += [_response(model, question, prompt, n, found[n]) for n in range(first, samples)]
        return tuple(made)

    def _paths(self, model: LanguageModel) -> tuple[str, ...]:
        if model.is_base and not self.base_paths:
            raise UserError(
                "the base model has no recorded responses: name their files in sampling.base_paths, or leave it out "
                "with model.base=null"
            )
        return self.base_paths if model.is_base else self.paths

    def _recorded(self, model: LanguageModel) -> Responses:
        return self._of_base if model.is_base else self._of_chat

    @cached_property
    def _of_chat(self) -> Responses:
        return _read(self.paths)

    @cached_property
    def _of_base(self) -> Responses:
        return _read(self.base_paths)


def _read(paths: Sequence[str]) -> Responses:
    found: dict[str, Sequence[Recorded]] = {}
    place: dict[str, str] = {}
    for path in paths:
        for question_id, responses in read_recordings(path).items():
            if question_id in found:
                raise UserError(f"question {question_id!r} has responses in {place[question_id]} and in {path}")
            found[question_id], place[question_id] = responses, path
    return found


def _response(
    model: LanguageModel, question: Question, prompt: tuple[int, ...], sample: int, recorded: Recorded
) -> Response:
    if recorded.question is not None and normal_text(question.text) not in normal_text(recorded.question):
        raise UserError(
            f"{recorded.where}: question {question.id!r} was put as {recorded.question[:60]!r}, and is now "
            f"{question.text[:60]!r}: these are responses to other questions"
        )
    if recorded.prompt_ids not in (None, prompt):
        raise UserError(
            f"{recorded.where}: question {question.id!r} was answered after another prompt than that of this model "
            "and config: choose model.chat and model.prompting as they were then"
        )
    ids, reason = _token_ids(model, prompt, recorded)
    if reason:
        return replace(lost(question, sample, prompt, recorded.text, reason), truncated=recorded.truncated)
    return response(model, question, sample, prompt, ids, recorded.logprobs, recorded.entropies, recorded.truncated)


def _token_ids(model: LanguageModel, prompt: tuple[int, ...], recorded: Recorded) -> tuple[tuple[int, ...], str]:
    """The response's tokens, or why there are none."""
    if recorded.lost:
        return (), recorded.lost
    ids = recorded.token_ids
    if ids is None:
        derived = token_ids_of(model, prompt, recorded.text)
        return (derived, "") if derived is not None else ((), NOT_ITS_TEXT)
    known = len(model.tokenizer)
    if ids and max(ids) >= known:
        raise UserError(
            f"{recorded.where}: the token id {max(ids)} is outside the {known} tokens of {model.source.locate()}: "
            "another model said this"
        )
    return (ids, "") if decodes_to(model, prompt, ids, recorded.text) else ((), NOT_ITS_TEXT)


def _digest(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as fault:
        raise UserError(f"cannot read {path}: {fault.strerror}") from fault
