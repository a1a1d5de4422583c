"""The model's own opinion of what it said: how probable an unsure reply is when it is asked whether it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hneuro.detection.mechanism.settings import Wording
from hneuro.models.language_model import LanguageModel
from hneuro.records import UserError


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A wording in the tokens of a model: those with which a sure and an unsure reply begin."""

    question: str
    sure: tuple[int, ...]
    unsure: tuple[int, ...]


def in_words_of(model: LanguageModel, asking: Sequence[Wording]) -> Asked | str:
    """The first wording that the model can be asked in, or why there is none. Loads its tokenizer alone."""
    reasons = ["no wording is configured"]
    for wording in asking:
        found = _asked(model, wording)
        if isinstance(found, Asked):
            return found
        reasons.append(found)
    return reasons[-1]


def p_unsure(
    model: LanguageModel, asked: Asked, said: Sequence[tuple[str, str]], token_budget: int
) -> NDArray[np.float64]:
    """P(unsure) / (P(sure) + P(unsure)) [row] after (question, response, asked), at the first token of the reply.

    One forward pass a response, in batches of at most `token_budget` padded tokens; nothing is generated.
    """
    import torch

    from hneuro.responses.generate import batches
    from hneuro.responses.letters import letter_logits

    prompts = [_prompt(model, question, response, asked.question) for question, response in said]
    found = np.empty(len(prompts))
    for batch in batches([len(prompt) for prompt in prompts], token_budget):
        pad = model.tokenizer.pad_token_id
        logits = letter_logits(model.loaded, pad, [prompts[n] for n in batch], (*asked.unsure, *asked.sure))
        parts = logits.double().split([len(asked.unsure), len(asked.sure)], dim=1)
        unsure, sure = (torch.logsumexp(part, dim=1) for part in parts)
        found[batch] = torch.sigmoid(unsure - sure).numpy()
    return found


def _prompt(model: LanguageModel, question: str, response: str, doubt: str) -> tuple[int, ...]:
    return model.chat_ids(
        [
            {"role": "user", "content": question + model.spec.prompting.suffix},
            {"role": "assistant", "content": response.strip()},
            {"role": "user", "content": doubt},
        ]
    )


def _asked(model: LanguageModel, wording: Wording) -> Asked | str:
    unknown = model.tokenizer.unk_token_id
    sides = [_first_tokens(model, words) for words in (wording.sure, wording.unsure)]
    spoken = (*model.tokenizer(wording.question, add_special_tokens=False)["input_ids"], *sides[0], *sides[1])
    if unknown is not None and unknown in spoken:
        return f"the model's vocabulary lacks words of {wording.question!r}"
    if not all(sides) or set(sides[0]) & set(sides[1]):
        return f"sure and unsure replies to {wording.question!r} do not begin with tokens that tell them apart"
    try:
        _prompt(model, "?", "?", wording.question)
    except UserError as fault:
        return str(fault)
    return Asked(question=wording.question, sure=sides[0], unsure=sides[1])


def _first_tokens(model: LanguageModel, words: Sequence[str]) -> tuple[int, ...]:
    """With which the words begin, behind a blank and without one; a token of blanks alone begins no word."""
    written = [form for word in words for form in (word, f" {word}")]
    ids = [model.tokenizer(text, add_special_tokens=False)["input_ids"] for text in written]
    return tuple(sorted({found[0] for found in ids if found and model.tokenizer.decode(found[:1]).strip()}))
