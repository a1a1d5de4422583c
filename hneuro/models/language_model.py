"""A model that the stages share: identified at once, loaded only when some stage really needs its weights."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hneuro.models.chat import (
    HARMONY,
    OPENING,
    SWITCHES,
    Marks,
    is_open,
    marks_of,
    switches_of,
    template_of,
    turn_end,
)
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
        """The edit that the chat model is given when it is loaded; an edit of another model is warned about."""
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
        asked = {
            "weights": self.source.identity(),
            "prompting": self.spec.prompting,
            "completion": self.completion,
        }
        return asked if self.completion else asked | self._of_template()

    def _of_template(self) -> dict[str, Any]:
        """What a chat template decides beside the prompting: nothing, for models that neither think nor run on."""
        found: dict[str, Any] = {}
        if self.tokenizer.chat_template is None:  # said when it is asked
            return found
        options = self.spec.prompting.options(self.tokenizer)
        if options != self.spec.prompting.template_options:
            found["options"] = options
        if self.marks and (any(map(options.get, SWITCHES)) or not switches_of(template_of(self.tokenizer))):
            found["thoughts"] = "apart"
        if added := self.turn_ends - {self.tokenizer.eos_token_id} and self.turn_ends - self._own_ends():
            found["ends"] = added
        return found

    def _own_ends(self) -> set[int]:
        from hneuro.models.load import own_ends

        return own_ends(self.source)

    @cached_property
    def marks(self) -> tuple[Marks, ...]:
        """What opens and closes its thoughts, of whatever its chat template knows."""
        asked = not self.completion and self.tokenizer.chat_template is not None
        return marks_of(template_of(self.tokenizer)) if asked else ()

    @property
    def thinks(self) -> bool:
        """Whether it certainly thinks first: it is asked to, or begins inside a thought, or speaks in channels."""
        if not self.marks:
            return False
        told = any(map(self.spec.prompting.options(self.tokenizer).get, SWITCHES))
        begun = self.written(self.prompt_ids("?")[-OPENING:])
        return told or HARMONY in self.marks or any(is_open(begun, pair) for pair in self.marks)

    @cached_property
    def turn_ends(self) -> frozenset[int]:
        """The token that ends a turn in its chat template, if one does."""
        if self.completion or self.tokenizer.chat_template is None or HARMONY in self.marks:
            return frozenset()  # where turns have channels, what ends one ends no turn
        return turn_end(self.tokenizer)

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

    @property
    def store_key(self) -> Mapping[str, Any]:
        return self.identity

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
        """Tokens that end an answer: end of text, end of turn, and the stop of a completion if it is one token."""
        ends = ({self.tokenizer.eos_token_id} - {None}) | self.turn_ends
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
        return self._readable(self._prompt(question))

    def prompt_length(self, question: str) -> int:
        """Tokens of a prompt, also of one that is longer than what the model reads."""
        return len(self._prompt(question))

    def chat_ids(self, messages: Sequence[Mapping[str, str]]) -> tuple[int, ...]:
        style = self.spec.prompting
        return self._readable((style.transcript_ids if self.completion else style.chat_ids)(self.tokenizer, messages))

    def _prompt(self, question: str) -> tuple[int, ...]:
        style = self.spec.prompting
        return (style.completion_ids if self.completion else style.question_ids)(self.tokenizer, question)

    @cached_property
    def _limits(self) -> tuple[int | None, int | None]:
        from hneuro.models.load import limits

        return limits(self.source)

    @property
    def context(self) -> int | None:
        """How many tokens the model reads at most, prompt and answer; None where its config does not say."""
        return self._limits[0]

    def _readable(self, ids: tuple[int, ...]) -> tuple[int, ...]:
        if self.context is not None and len(ids) > self.context:
            raise UserError(
                f"{self.source.locate()} reads {self.context} tokens, and the prompt that begins with "
                f"{self.text_of(ids[:40])[:60]!r} has {len(ids)}: leave it out, or choose another model"
            )
        self.check_known(ids)
        return ids

    def check_known(self, ids: Sequence[int]) -> None:
        """`UserError` for a token that the model has no embedding of: its vocabulary is that of another model."""
        known = self._limits[1]
        if known is not None and max(ids, default=0) >= known:
            raise UserError(
                f"{self.source.locate()} has embeddings of {known} tokens, and its tokenizer gives the id {max(ids)}: "
                "they do not belong together"
            )

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """BOS, EOS, padding and every mark of a turn, also those that the tokenizer gives no role of their own."""
        marks = (number for number, token in self.tokenizer.added_tokens_decoder.items() if token.special)
        return frozenset({*self.tokenizer.all_special_ids, *marks})

    def text_of(self, token_ids: Sequence[int]) -> str:
        """The text as the model wrote it: without special tokens, and with every blank, so that offsets hold."""
        text: str = self.tokenizer.decode(list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def written(self, token_ids: Sequence[int]) -> str:
        """The text with special tokens."""
        text: str = self.tokenizer.decode(
            list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text


_latest: list[LanguageModel] = []  # at most one


def chat_model(source: CheckpointSource, spec: ModelSpec) -> LanguageModel:
    """The chat model of a config; that of the run before in this process, loaded already, where it is the same."""
    if not (_latest and _latest[0].is_the_same(source, spec)):
        _latest[:] = [LanguageModel(source, spec, completion=False)]  # the other goes before this one is loaded
    return _latest[0]
