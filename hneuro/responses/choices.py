"""What a completion server says of one sample, in the forms of the servers that we know, as a response."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, Response
from hneuro.responses.retokenize import token_ids_of
from hneuro.responses.sampler import response

TOKEN_ID = "token_id:"  # vLLM, with return_tokens_as_token_ids


def read_choice(
    model: LanguageModel, question: Question, sample: int, prompt: tuple[int, ...], choice: Any, lost: str = ""
) -> Response:
    """The response that a choice is; lost, with the reason, where its tokens are not known for certain."""
    said = choice if isinstance(choice, Mapping) else {}
    told = said.get("text")
    text = told if isinstance(told, str) else ""
    tokens = _tokens(said.get("logprobs"))
    ids = _ids(said.get("token_ids"), said.get("logprobs"), tokens)
    vocabulary = len(model.tokenizer)
    if not lost and not isinstance(told, str):
        lost = "a choice without a text"
    if not lost and ids is not None:
        if not all(0 <= token < vocabulary for token in ids):
            lost = "the server's token ids are outside the vocabulary"
        elif not _same(model, ids, text):
            lost = "the server's token ids do not decode to its text"
    elif not lost:
        ids = token_ids_of(model, prompt, text)
        lost = "" if ids is not None else "the tokens derived from the text do not decode to it"
    if lost or ids is None:
        return Response(
            question_id=question.id, sample=sample, prompt_ids=prompt, token_ids=(), text=text, logprobs=(),
            entropies=(), lost=lost,
        )  # fmt: skip
    truncated = said.get("finish_reason") == "length"
    return response(
        model, question, sample, prompt, ids, _logprobs(said.get("logprobs"), tokens, ids, text), (), truncated
    )


def _same(model: LanguageModel, ids: Sequence[int], text: str) -> bool:
    """Whether ids are those of a text, which may lack the stop and a character that was cut in its middle."""
    stop = model.spec.prompting.completion_stop if model.completion else ""
    decoded = model.text_of(ids)
    if stop:
        decoded, text = decoded.partition(stop)[0], text.partition(stop)[0]
    return decoded.rstrip("\ufffd").strip() == text.rstrip("\ufffd").strip()


def _tokens(logprobs: Any) -> list[str] | None:
    """The printed tokens, in the older form (a list of them) or the newer (a list of objects)."""
    if not isinstance(logprobs, Mapping):
        return None
    if isinstance(logprobs.get("content"), list):
        return [str(one.get("token", "")) for one in logprobs["content"] if isinstance(one, Mapping)]
    return [str(token) for token in logprobs["tokens"]] if isinstance(logprobs.get("tokens"), list) else None


def _ids(given: Any, logprobs: Any, tokens: Sequence[str] | None) -> tuple[int, ...] | None:
    """Token ids, wherever a server puts them; None where it gives none."""
    listed = logprobs if isinstance(logprobs, Mapping) else {}
    content = listed.get("content")
    objects = content if isinstance(content, list) else []
    named = [one.get("token_id", one.get("id")) for one in objects if isinstance(one, Mapping)]
    printed = [t.removeprefix(TOKEN_ID) for t in tokens or () if t.startswith(TOKEN_ID)]
    counted = [int(token) for token in printed if token.isdecimal()] if len(printed) == len(tokens or ()) else []
    for found in (given, listed.get("token_ids"), named, counted):
        if isinstance(found, list) and found and all(type(token) is int for token in found):
            return tuple(found)
    return None


def _logprobs(logprobs: Any, tokens: Sequence[str] | None, ids: Sequence[int], text: str) -> tuple[float, ...]:
    """A log-probability for each id, or none at all: where one is missing, or they may belong to other tokens."""
    if not isinstance(logprobs, Mapping):
        return ()
    content = logprobs.get("content")
    found = (
        [one.get("logprob") for one in content if isinstance(one, Mapping)]
        if isinstance(content, list)
        else logprobs.get("token_logprobs")
    )
    if not isinstance(found, list):
        return ()
    if len(found) > len(ids) and tokens is not None and "".join(tokens[: len(ids)]) == text:
        found = found[: len(ids)]  # what ended the turn is behind the text
    numbers = [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]
    return tuple(numbers) if len(numbers) == len(found) == len(ids) else ()
