"""Samplers: several responses to every question, token ids and log-probabilities kept."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

from hneuro.models.chat import answer_start, unfinished
from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, Response, UserError
from hneuro.responses.decoding import Decoding


@runtime_checkable
class Sampler(Protocol):
    """The part named by `sampling`. A response depends on its question, its sample number and the seed alone."""

    @property
    def letters(self) -> bool:
        """Whether it answers multiple-choice questions, and those alone, by the letter of an option."""

    @property
    def samples(self) -> int:
        """Responses to each question of the identification set."""

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        """What the responses depend on besides questions, seed and the sampler's fields.

        `model.identity` where the model is computed here, `model.asked` where another engine answers for it: the key of
        responses must not change with the device that the later stages run on.
        """

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        """`UserError` where the model cannot be asked these questions: said before any of them is."""

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        """The samples from number `first` up to `samples` of each question, ordered by question, then by number."""


@runtime_checkable
class EngineSampler(Sampler, Protocol):
    """A sampler that holds the device while it samples: all its responses come before the model itself is loaded."""

    def close(self) -> None:
        """Leaves the device to the later stages. Sampling again starts the engine anew."""


@dataclass(frozen=True, kw_only=True)
class TransformersSampler:
    """Batched generation with the transformers library; the samples of a question read its prompt once."""

    samples: int = 10
    decoding: Decoding = field(default_factory=Decoding)
    token_budget: int = 16384  # padded prompt + response tokens of one batch
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.samples < 1 or self.token_budget < 1:
            raise ValueError("samples and token_budget must be at least 1")

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        return model.identity

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        check_texts(model, questions, self.decoding.max_new_tokens)

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        from hneuro.responses.generate import Generated, Job, batches, generate

        prompts = [model.prompt_ids(question.text) for question in questions]
        jobs = [
            Job(prompt_ids=prompt, seed=f"{draw_name(question, seed)}/{n}")
            for question, prompt in zip(questions, prompts, strict=True)
            for n in range(first, samples)
        ]
        lengths = [len(job.prompt_ids) + self.decoding.max_new_tokens for job in jobs]
        done: dict[int, Generated] = {}
        for batch in batches(lengths, self.token_budget):
            pad = model.tokenizer.pad_token_id
            done.update(zip(batch, generate(model.loaded, pad, [jobs[n] for n in batch], self.decoding), strict=True))
        return tuple(
            response(model, question, n, prompt, made.token_ids, made.logprobs, made.entropies, made.truncated)
            for q, (question, prompt) in enumerate(zip(questions, prompts, strict=True))
            for place, n in enumerate(range(first, samples))
            for made in [done[q * (samples - first) + place]]
        )


THOUGHT = 256  # tokens that a thought takes at least, with an answer behind it


def check_texts(model: LanguageModel, questions: Sequence[Question], most: int | None = None) -> None:
    """`UserError` for questions that are answered by letter, and for a model that cannot be asked, or not with `most`
    tokens of a response.
    """
    for question in questions:
        if question.options:
            raise UserError(
                f"dataset {question.dataset}: question {question.id!r} has options, which are answered by letter: "
                "choose sampling=letters and judge=letter, or name no column of options"
            )
    check_lengths(model, questions, most or 0)
    if most is not None and most < THOUGHT and model.thinks:
        raise UserError(
            f"{model.source.locate()} thinks before it answers, and would be cut off within its thought after {most} "
            "tokens: give it dataset.answer_tokens=2000, or choose a model that can be kept from thinking"
        )


def check_lengths(model: LanguageModel, questions: Sequence[Question], most: int) -> None:
    """`UserError` where prompts with `most` tokens of a response are more than the model reads, and how many are."""
    around = len(model.prompt_ids("?")) + most
    if (context := model.context) is None:
        return
    # No token is less than a byte, so that few texts have to be tokenised.
    doubtful = [q for q in questions if len(q.text.encode(errors="replace")) + around > context]
    if too_long := [q for q in doubtful if model.prompt_length(q.text) + most > context]:
        raise UserError(
            f"dataset {too_long[0].dataset}: the prompts of {len(too_long)} questions, such as {too_long[0].id!r}, and "
            f"answers of {most} tokens are more than the {context} tokens that {model.source.locate()} reads: leave "
            "them out, lower dataset.answer_tokens, or choose another model"
        )


def draw_name(question: Question, seed: int) -> str:
    """Names the randomness of a question's samples."""
    return f"{seed}/{question.dataset}/{question.id}"


def response(
    model: LanguageModel,
    question: Question,
    sample: int,
    prompt_ids: tuple[int, ...],
    token_ids: Sequence[int],
    logprobs: Sequence[float],
    entropies: Sequence[float],
    truncated: bool = False,
) -> Response:
    """The record of what was generated, cut where a completion ends its answer. Lost where the model broke down."""
    model.check_known(token_ids)
    length = before_stop(model, token_ids)
    start = answer_start(model.written, model.marks, prompt_ids, token_ids[:length])
    truncated = truncated and length == len(token_ids)
    broken = not all(map(math.isfinite, (*logprobs[:length], *entropies[:length])))
    return Response(
        question_id=question.id,
        sample=sample,
        prompt_ids=prompt_ids,
        token_ids=tuple(token_ids[:length]),
        text=model.text_of(token_ids[start or 0 : length]),
        logprobs=() if broken else tuple(logprobs[:length]),
        entropies=() if broken else tuple(entropies[:length]),
        lost="the model's probabilities are no numbers" if broken else unfinished(truncated) if start is None else "",
        truncated=truncated,
        thought=start or 0,
    )


def lost(question: Question, sample: int, prompt_ids: tuple[int, ...], text: str, reason: str) -> Response:
    """The record of what cannot be used."""
    return Response(
        question_id=question.id,
        sample=sample,
        prompt_ids=prompt_ids,
        token_ids=(),
        text=text,
        logprobs=(),
        entropies=(),
        lost=reason,
    )


def before_stop(model: LanguageModel, token_ids: Sequence[int]) -> int:
    """How many tokens of a completion lie before the text that ends its answer; of a chat model's reply, all up to and
    with the end of its turn.
    """
    stop = model.spec.prompting.completion_stop if model.completion else ""
    if not stop:
        ended = (n for n, token in enumerate(token_ids, 1) if token in model.turn_ends)
        return next(ended, len(token_ids))
    lengths = (n for n in range(1, len(token_ids) + 1) if stop in model.text_of(token_ids[:n]))
    return next(lengths, len(token_ids) + 1) - 1


def token_ids_of(model: LanguageModel, prompt_ids: Sequence[int], text: str) -> tuple[int, ...] | None:
    """The response's tokens after a prompt, whose own tokens stay as they are; None if none decode to the text.

    The text is tokenised on its own. A tokenizer of words that begin with a blank (SentencePiece) puts one before the
    first word and hides it when it decodes: there, a text that shows this blank, because its engine decoded it after
    the prompt, is tokenised without it, or it would be there twice.
    """
    if text.startswith(" "):
        ids = _ids(model, text[1:])
        if behind_prompt(model, prompt_ids, ids) == text:
            return ids
    ids = _ids(model, text)
    return ids if model.text_of(ids) == text else None


def decodes_to(model: LanguageModel, prompt_ids: Sequence[int], token_ids: Sequence[int], text: str) -> bool:
    """Whether the tokens are the text, on their own or as they follow the prompt."""
    return text in (model.text_of(token_ids), behind_prompt(model, prompt_ids, token_ids))


def behind_prompt(model: LanguageModel, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> str:
    """What the tokens add to the text of the prompt."""
    return model.text_of((*prompt_ids, *token_ids)).removeprefix(model.text_of(prompt_ids))


def _ids(model: LanguageModel, text: str) -> tuple[int, ...]:
    return tuple(int(token) for token in model.tokenizer(text, add_special_tokens=False)["input_ids"])
