"""Which token an option's letter is where a model begins to answer: "A" or " A", proven by the tokenizer."""

from __future__ import annotations

from functools import partial

from hneuro.models.language_model import LanguageModel
from hneuro.questions.options import LETTERS
from hneuro.records import UserError


def letter_ids(model: LanguageModel, count: int) -> tuple[int, ...]:
    """The token of each of the first `count` letters.

    `UserError` unless every letter, written as the model writes it, adds exactly one token to the prompt, and leaves
    the prompt's own tokens as they are: otherwise the logits behind the prompt are not those of the letters.
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
                f"{model.source.locate()} does not write {blank + letter!r} as one token behind {prompt[-12:]!r}, so "
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
