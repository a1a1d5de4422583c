"""Answers to multiple-choice questions, read from the logits of the option letters. No text is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from hneuro.models.language_model import LanguageModel
from hneuro.questions.options import LETTERS
from hneuro.records import Question, Response, UserError
from hneuro.responses.sampler import check_lengths

if TYPE_CHECKING:
    from torch import Tensor

    from hneuro.models.load import Loaded


@dataclass(frozen=True, kw_only=True)
class LetterSampler:
    """The prediction and draws from the softmax over a question's letters at the last prompt token, temperature 1.

    Sample 0 is the prediction, the likeliest letter; the others are the draws, by which a question is kept only if all
    of them give the prediction. A response is one token; its log-probability and entropy are those over the letters
    alone, in nats, not over the vocabulary.
    """

    draws: int = 10
    token_budget: int = 16384  # padded prompt tokens of one batch
    letters: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.draws < 0 or self.token_budget < 1:
            raise ValueError("draws must not be negative and token_budget must be at least 1")

    @property
    def samples(self) -> int:
        return 1 + self.draws

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        return model.identity

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        for question in questions:
            if not question.options:
                raise UserError(
                    f"dataset {question.dataset}: question {question.id!r} has no options, so it cannot be answered by "
                    "a letter: choose sampling=transformers, or name the columns of its options"
                )
        if model.thinks:
            raise UserError(
                f"{model.source.locate()} thinks before it answers, so that no letter follows its prompt: choose a "
                "model that can be kept from thinking, or questions without options"
            )
        check_lengths(model, questions, 1)
        letter_ids(model, max(len(question.options) for question in questions))

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        import torch

        from hneuro.responses.draw import gumbel, row_seed
        from hneuro.responses.generate import batches

        tokens = letter_ids(model, max(len(question.options) for question in questions))
        prompts = [model.prompt_ids(question.text) for question in questions]
        responses: dict[int, list[Response]] = {}
        for batch in batches([len(prompt) for prompt in prompts], self.token_budget):
            logits = letter_logits(model.loaded, model.tokenizer.pad_token_id, [prompts[n] for n in batch], tokens)
            for n, row in zip(batch, logits, strict=True):
                question = questions[n]
                logprobs = torch.log_softmax(row[: len(question.options)], dim=0)
                entropy = float(-(logprobs.exp() * logprobs).sum())
                names = [f"{seed}/{question.dataset}/{question.id}/{draw}" for draw in range(1, samples)]
                noise = gumbel(torch.tensor([row_seed(name) for name in names], dtype=torch.int64), 0, len(logprobs))
                said = [int(logprobs.argmax()), *(logprobs + noise).argmax(dim=1).tolist()]
                responses[n] = [
                    Response(
                        question_id=question.id,
                        sample=sample,
                        prompt_ids=prompts[n],
                        token_ids=(tokens[letter],),
                        text=model.text_of((tokens[letter],)),
                        logprobs=(float(logprobs[letter]),),
                        entropies=(entropy,),
                    )
                    for sample, letter in enumerate(said)
                    if sample >= first
                ]
        return tuple(response for n in range(len(questions)) for response in responses[n])


def letter_logits(loaded: Loaded, pad: int, prompts: Sequence[Sequence[int]], tokens: Sequence[int]) -> Tensor:
    """Logits of `tokens` after each prompt: [prompt, token] float32, on the CPU. One left-padded batch."""
    import torch

    longest = max(len(prompt) for prompt in prompts)
    ids = torch.tensor([[pad] * (longest - len(p)) + list(p) for p in prompts], device=loaded.device)
    mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=loaded.device)
    with torch.inference_mode():
        logits: Tensor = loaded.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
            use_cache=False,
            logits_to_keep=1,
        ).logits[:, -1]
    return logits[:, list(tokens)].float().cpu()


def letter_ids(model: LanguageModel, count: int) -> tuple[int, ...]:
    """The token of each of the first `count` letters.

    `UserError` unless every letter, written as the model writes it, adds exactly one token to the prompt, and leaves
    the prompt's own tokens as they are: otherwise the logits after the prompt are not those of the letters.
    """
    prompt, blank = _prompt(model)
    before = _ids(model, prompt)
    found = []
    for letter in LETTERS[:count]:
        written = _ids(model, prompt + blank + letter)
        added = written[len(before) :]
        if written[: len(before)] != before or len(added) != 1 or model.text_of(added).strip() != letter:
            place = "completion" if model.completion else "chat template"
            raise UserError(
                f"{model.source.locate()} does not write {blank + letter!r} as one token after {prompt[-12:]!r}, so "
                f"no probability is that of the letter: another {place}, or another model, is needed"
            )
        found += added
    return tuple(found)


def _prompt(model: LanguageModel) -> tuple[str, str]:
    """A short prompt as text, and what the model writes between it and its answer: a blank, or nothing."""
    if model.completion:
        text = model.spec.prompting.completion.replace("{question}", "?")
        return text, "" if text[-1].isspace() else " "
    model.prompt_ids("?")  # refuses a tokenizer without chat template, or with one that does not work
    asked = [{"role": "user", "content": "?"}]
    render = partial(model.tokenizer.apply_chat_template, tokenize=False, **model.spec.prompting.template_options)
    text = render(asked, add_generation_prompt=True)
    answered = render([*asked, {"role": "assistant", "content": "A"}])
    # A template that shows an answer elsewhere, such as behind an empty thought, says nothing about blanks.
    return text, " " if answered.startswith(text + " A") else ""


def _ids(model: LanguageModel, text: str) -> list[int]:
    """As the prompts are made: a chat template writes its own special tokens."""
    ids: list[int] = model.tokenizer(text, add_special_tokens=model.completion)["input_ids"]
    return ids
