"""Samplers: several responses to every question, token ids and log-probabilities kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, Response, UserError
from hneuro.responses.decoding import Decoding


@runtime_checkable
class Sampler(Protocol):
    """The part behind `sampling`. A response depends on its question, its sample number and the seed alone."""

    @property
    def letters(self) -> bool:
        """Whether it answers multiple-choice questions, and those alone, by the letter of an option."""

    @property
    def samples(self) -> int:
        """Responses to each question of the identification set."""

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int
    ) -> tuple[Response, ...]:
        """`samples` responses to each question, ordered by question, then by sample number."""

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        """`UserError` where the model cannot be asked these questions: said before any of them is."""


@dataclass(frozen=True, kw_only=True)
class TransformersSampler:
    """Batched `generate` of the transformers library."""

    samples: int = 10
    decoding: Decoding = field(default_factory=Decoding)
    token_budget: int = 16384  # padded prompt + response tokens of one batch
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.samples < 1 or self.token_budget < 1:
            raise ValueError("samples and token_budget must be at least 1")

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        for question in questions:
            if question.options:
                raise UserError(
                    f"dataset {question.dataset}: question {question.id!r} has options, which are answered by letter: "
                    "choose sampling=letters and judge=letter, or name no column of options"
                )
        model.prompt_ids("?")

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int
    ) -> tuple[Response, ...]:
        from hneuro.responses.generate import Generated, Job, batches, generate

        prompts = [model.prompt_ids(question.text) for question in questions]
        jobs = [
            Job(prompt_ids=prompt, seed=f"{seed}/{question.dataset}/{question.id}/{n}")
            for question, prompt in zip(questions, prompts, strict=True)
            for n in range(samples)
        ]
        lengths = [len(job.prompt_ids) + self.decoding.max_new_tokens for job in jobs]
        done: dict[int, Generated] = {}
        for batch in batches(lengths, self.token_budget):
            pad = model.tokenizer.pad_token_id
            done.update(zip(batch, generate(model.loaded, pad, [jobs[n] for n in batch], self.decoding), strict=True))
        return tuple(
            _response(model, question, n, prompt, done[q * samples + n])
            for q, (question, prompt) in enumerate(zip(questions, prompts, strict=True))
            for n in range(samples)
        )


def _response(model: LanguageModel, question: Question, sample: int, prompt: tuple[int, ...], made: object) -> Response:
    from hneuro.responses.generate import Generated

    assert isinstance(made, Generated)
    length = len(made.token_ids)
    if model.completion:
        length = _before_stop(model, made.token_ids)
    return Response(
        question_id=question.id,
        sample=sample,
        prompt_ids=prompt,
        token_ids=made.token_ids[:length],
        text=model.text_of(made.token_ids[:length]),
        logprobs=made.logprobs[:length],
        entropies=made.entropies[:length],
    )


def _before_stop(model: LanguageModel, token_ids: Sequence[int]) -> int:
    """How many tokens of a completion lie before the text that ends its answer."""
    stop = model.spec.prompting.completion_stop
    if not stop:
        return len(token_ids)
    lengths = (n for n in range(1, len(token_ids) + 1) if stop in model.text_of(token_ids[:n]))
    return next(lengths, len(token_ids) + 1) - 1
