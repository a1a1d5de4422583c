"""Samples from any OpenAI-compatible server of completions: `vllm serve`, SGLang, TGI, llama.cpp."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hneuro.endpoint.client import Endpoint, Failure, Reply, Request, ask
from hneuro.models.language_model import LanguageModel
from hneuro.records import ASIDE, Question, Response, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import check_texts, draw_name, lost, response, token_ids_of

# The neutral ones keep a server from taking others from the model's generation config or having its own; the rest asks
# for what the record of a response needs.
ALL_TOKENS = {"top_k": -1}
EXTRAS = {"min_p": 0.0, "repetition_penalty": 1.0, "return_token_ids": True, "logprobs": 1}


@dataclass(frozen=True, kw_only=True)
class ServerSampler:
    """Asks with the token ids of our own prompts, the samples of a round in one request a question with its own seed.

    `prompts` = "text": for a server that takes no ids, the text that its tokenizer makes the same ids of. `several` =
    False: for one that gives one sample at a time, a request and a seed for each. Token ids that a server does not
    return are derived from the text. Log-probabilities are the server's, which must be those before temperature and
    top_k (as vLLM gives them); entropies are not known.
    """

    endpoint: Endpoint
    samples: int = 10
    decoding: Decoding = field(default_factory=Decoding)
    prompts: Literal["ids", "text"] = field(default="ids", metadata=ASIDE)
    several: bool = field(default=True, metadata=ASIDE)
    letters: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError("samples must be at least 1")

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        return model.asked

    def check(self, model: LanguageModel, questions: Sequence[Question]) -> None:
        check_texts(model, questions, self.decoding.max_new_tokens)

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        numbers = range(first, samples)
        together = self.several and self.decoding.temperature > 0 and len(numbers) > 1  # greedy answers are all alike
        asked = [
            (question, model.prompt_ids(question.text), several)
            for question in questions
            for several in ([numbers] if together else [range(n, n + 1) for n in numbers])
        ]
        requests = [self._request(model, prompt, several, draw_name(q, seed)) for q, prompt, several in asked]
        replies = ask(self.endpoint, requests, f"sampled by {self.endpoint.model}")
        return tuple(
            made
            for (question, prompt, several), reply in zip(asked, replies, strict=True)
            for made in self._read(model, question, prompt, several, reply)
        )

    def _request(self, model: LanguageModel, prompt: tuple[int, ...], numbers: range, name: str) -> Request:
        from hneuro.responses.draw import row_seed

        body: dict[str, Any] = {
            "prompt": list(prompt) if self.prompts == "ids" else _text_of_prompt(model, prompt),
            "max_tokens": self.decoding.max_new_tokens,
            "temperature": self.decoding.temperature,
            "top_p": self.decoding.top_p,
        }
        if self.decoding.temperature > 0:
            draw = f"{name}/{numbers[0]}" if len(numbers) == 1 or numbers[0] else name
            body["seed"] = row_seed(draw) & 0x7FFFFFFF  # what every server takes
        if self.decoding.top_k:
            body["top_k"] = self.decoding.top_k
        if len(numbers) > 1:
            body["n"] = len(numbers)
        if model.completion and model.spec.prompting.completion_stop:
            body["stop"] = [model.spec.prompting.completion_stop]
        return Request(path="completions", body=body, extras=EXTRAS if self.decoding.top_k else EXTRAS | ALL_TOKENS)

    def _read(
        self, model: LanguageModel, question: Question, prompt: tuple[int, ...], numbers: range, reply: Reply | Failure
    ) -> list[Response]:
        """The responses of a reply; of a request that failed they are lost."""
        if isinstance(reply, Failure):
            return [lost(question, n, prompt, "", f"not sampled, {reply.reason}") for n in numbers]
        self._check_prompt(model, prompt, reply, len(numbers))
        listed = reply.get("choices")
        choices = listed if isinstance(listed, list) else []
        if choices and len(choices) < len(numbers):
            raise UserError(f"{self._where} gives {len(choices)} of {len(numbers)} samples: sampling.several=false")
        choices = choices or [None] * len(numbers)
        return [read_choice(model, question, n, prompt, one) for n, one in zip(numbers, choices, strict=False)]

    def _check_prompt(self, model: LanguageModel, prompt: Sequence[int], reply: Reply, count: int) -> None:
        """The server has read as many tokens as our prompt has: else it has another template, tokenizer or BOS."""
        usage = reply.get("usage")
        read = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
        if isinstance(read, int) and read not in (len(prompt), count * len(prompt)):
            raise UserError(
                f"{self._where} reads {read} tokens where the prompt of {model.source.locate()} has {len(prompt)}: "
                "serve that very checkpoint, and set sampling.endpoint.revision to a new word"
            )

    @property
    def _where(self) -> str:
        return f"{self.endpoint.model} at {self.endpoint.base_url}"


def _text_of_prompt(model: LanguageModel, prompt: Sequence[int]) -> str:
    """The text that the tokenizer makes the prompt's ids of: without the BOS that it adds by itself."""
    tokenizer, whole = model.tokenizer, model.written(prompt)
    for text in (whole, whole.removeprefix(tokenizer.bos_token or "").removeprefix(" "), whole.lstrip()):
        if tuple(tokenizer(text)["input_ids"]) == tuple(prompt):
            return str(text)
    raise UserError(
        f"sampling.prompts=text, and no text gives the prompt of {tokenizer.name_or_path} token by token: use a server "
        "that completes token ids, such as vLLM"
    )


def read_choice(
    model: LanguageModel, question: Question, sample: int, prompt: tuple[int, ...], choice: Any
) -> Response:
    """The response that a choice is; lost, with the reason, where its tokens are not known for certain."""
    said = choice if isinstance(choice, Mapping) else {}
    text = said.get("text")
    if not isinstance(text, str):
        return lost(question, sample, prompt, "", "a choice without a text")
    told = said.get("logprobs")
    logprobs: Mapping[str, Any] = told if isinstance(told, Mapping) else {}
    ids = _ids(said.get("token_ids"), logprobs)
    if ids is None and (ids := token_ids_of(model, prompt, text)) is None:
        return lost(question, sample, prompt, text, "the tokens derived from the text do not decode to it")
    if not all(0 <= token < len(model.tokenizer) for token in ids):
        return lost(question, sample, prompt, text, "the server's token ids are outside the vocabulary")
    if not _same(model, ids, text):
        return lost(question, sample, prompt, text, "the server's token ids do not decode to its text")
    truncated = said.get("finish_reason") == "length"
    return response(model, question, sample, prompt, ids, _logprobs(logprobs, ids, text), (), truncated)


def _same(model: LanguageModel, ids: Sequence[int], text: str) -> bool:
    """Whether ids are those of a text, which may lack the stop and a character that was cut in its middle."""
    stop = model.spec.prompting.completion_stop if model.completion else ""
    decoded = model.text_of(ids)
    if stop:
        decoded, text = decoded.partition(stop)[0], text.partition(stop)[0]
    return decoded.rstrip("\ufffd").strip() == text.rstrip("\ufffd").strip()


def _each(logprobs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Tokens in the newer form, a list of objects."""
    content = logprobs.get("content")
    return [one for one in content if isinstance(one, Mapping)] if isinstance(content, list) else []


def _ids(given: Any, logprobs: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Token ids, wherever a server puts them; None where it gives none."""
    for found in (given, logprobs.get("token_ids"), [one.get("id") for one in _each(logprobs)]):
        if isinstance(found, list) and found and all(type(token) is int for token in found):
            return tuple(found)
    return None


def _logprobs(logprobs: Mapping[str, Any], ids: Sequence[int], text: str) -> tuple[float, ...]:
    """A log-probability for each id, or none at all: where one is missing, or they may belong to other tokens."""
    newer = _each(logprobs)
    found = [one.get("logprob") for one in newer] if newer else logprobs.get("token_logprobs")
    tokens = [one.get("token") for one in newer] if newer else logprobs.get("tokens")
    if not isinstance(found, list):
        return ()
    if len(found) > len(ids) and isinstance(tokens, list) and "".join(map(str, tokens[: len(ids)])) == text:
        found = found[: len(ids)]  # what ended the turn follows the text
    numbers = [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]
    return tuple(numbers) if len(numbers) == len(found) == len(ids) else ()
