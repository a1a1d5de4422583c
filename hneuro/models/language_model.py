"""A model that the stages share: identified at once, loaded only when some stage really needs its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hneuro.models.patch import Patch, apply_patch, check_fits, found_elsewhere, read_patch
from hneuro.models.sources import CheckpointSource
from hneuro.models.spec import ModelSpec, pick_device
from hneuro.records import UserError

if TYPE_CHECKING:
    from hneuro.models.load import Loaded

log = logging.getLogger(__name__)


class LanguageModel:
    """A checkpoint under a prompting style: the chat model is asked, the base model (`completion`) completes.

    A chat model without chat template completes, too (`prompting.chat` = false), but is not `is_base`.
    """

    def __init__(self, source: CheckpointSource, spec: ModelSpec, *, completion: bool) -> None:
        self.source = source
        self.spec = spec
        self.is_base = completion
        self.completion = completion or not spec.prompting.chat

    @cached_property
    def patch(self) -> Patch | None:
        """The edit that the chat model is given when it is loaded; who gives it that of another model is told so."""
        if self.spec.patch is None or self.is_base:
            return None
        patch = read_patch(Path(self.spec.patch))
        told = found_elsewhere(patch.weights, patch.note, self.source.identity(), self.source.locate())
        if told:
            log.warning("model.patch=%s: %s", self.spec.patch, told)
        return patch

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What is put to this model, whoever computes it: checkpoint with tokenizer, and prompts.

        `UserError` with a patch, which no other engine would apply.
        """
        if self.patch is not None:
            raise UserError(
                "model.patch is applied to a model that is computed here, and another engine would answer without it: "
                "choose sampling=transformers, or write an edited checkpoint (hneuro edit) and name it as model.chat"
            )
        return self._asked

    @cached_property
    def _asked(self) -> dict[str, Any]:
        return {
            "weights": self.source.identity(),
            "prompting": self.spec.prompting,
            "completion": self.completion,
        }

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What the store's keys say about this model as it is computed here."""
        computed = {
            "dtype": self.spec.dtype,
            "attention": self.spec.attention,
            "device": pick_device(self.spec.device).split(":")[0],
        }
        if self.patch is not None:
            computed["patch"] = self.patch.identity
        return self._asked | computed

    @cached_property
    def tokenizer(self) -> Any:
        from hneuro.models.load import load_tokenizer

        return load_tokenizer(self.source)

    @cached_property
    def loaded(self) -> Loaded:
        from hneuro.models.load import load

        loaded = load(self.source, self.spec, self._ends())
        if self.patch is not None:
            check_fits(self.patch, loaded.ffn.space, None, self.source.locate())
            apply_patch(loaded, self.patch)
        return loaded

    def _ends(self) -> list[int]:
        """Tokens that end an answer: the tokenizer's end of text, and the stop of a completion if it is one token."""
        ends = {self.tokenizer.eos_token_id} - {None}
        stop = self.spec.prompting.completion_stop if self.completion else ""
        for text in (stop, stop + stop) if stop else ():
            ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
            if len(ids) == 1 and stop in self.text_of(ids):
                ends |= {*ids}
        return sorted(ends)

    def release(self) -> None:
        """Lets go of the weights; they are loaded again if somebody needs them."""
        self.__dict__.pop("loaded", None)

    def is_the_same(self, source: CheckpointSource, spec: ModelSpec) -> bool:
        """Whether it is the model of this config, as it lay on the disk when it was identified and lies there now."""
        if (source, spec) != (self.source, self.spec) or spec.patch is not None or "_asked" not in self.__dict__:
            return False
        return source.identity() == str(self._asked["weights"])

    def prompt_ids(self, question: str) -> tuple[int, ...]:
        if self.completion:
            return self.spec.prompting.completion_ids(self.tokenizer, question)
        return self.spec.prompting.question_ids(self.tokenizer, question)

    def chat_ids(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        if self.completion:
            return self.spec.prompting.transcript_ids(self.tokenizer, messages)
        return self.spec.prompting.chat_ids(self.tokenizer, messages)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """BOS, EOS, padding and every mark of a turn, also those that the tokenizer gives no role of their own."""
        marks = (number for number, token in self.tokenizer.added_tokens_decoder.items() if token.special)
        return frozenset({*self.tokenizer.all_special_ids, *marks})

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text as the model wrote it: without special tokens, and with every blank, so that offsets hold."""
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


_latest: list[LanguageModel] = []  # at most one


def chat_model(source: CheckpointSource, spec: ModelSpec) -> LanguageModel:
    """The chat model of a config; that of the run before in this process, loaded already, where it is the same."""
    if not (_latest and _latest[0].is_the_same(source, spec)):
        _latest[:] = [LanguageModel(source, spec, completion=False)]  # the other goes before this one is loaded
    return _latest[0]
