"""Samples from any OpenAI-compatible server of completions: `vllm serve`, SGLang, TGI, llama.cpp."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from hneuro.endpoint.client import ask
from hneuro.endpoint.exchange import Failure, Reply, Request, server_of
from hneuro.endpoint.settings import Endpoint
from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, Response, UserError
from hneuro.responses.choices import read_choice
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import check_texts, draw_name

IDS, SEVERAL = "prompt as token ids", "several samples in one request"  # what a server may refuse

# Sent unless the server refuses them. The neutral ones keep a server from taking others from the model's generation
# config or having its own; the rest asks for what the record of a response needs.
ALL_TOKENS = {"top_k": -1}
EXTRAS = {"min_p": 0.0, "repetition_penalty": 1.0, "return_token_ids": True, "logprobs": 1}


@dataclass(frozen=True, kw_only=True)
class ServerSampler:
    """Asks with the token ids of our own prompts, the samples of a round in one request a question with its own seed.

    A server that takes no ids gets the text that its tokenizer makes the same ids of; one that gives one sample at a
    time gets a request and a seed for each. top_k is sent where it is not 0, and then the server must know it.
    Token ids that a server does not return are derived from the text. Log-probabilities are the server's, which must
    be those before temperature and top_k (as vLLM gives them); entropies are not known.
    """

    endpoint: Endpoint
    samples: int = 10
    decoding: Decoding = field(default_factory=Decoding)
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
        draws = [_Draws(self, model, question, range(first, samples), seed) for question in questions]
        self._settle(draws[0])
        for several in (True, False):  # the second round asks one by one for what the first did not give
            asked = [(draw, *one) for draw in draws for one in draw.requests(several)]
            replies = ask(self.endpoint, [request for *_, request in asked], f"sampled by {self.endpoint.model}")
            for (draw, numbers, _), reply in zip(asked, replies, strict=True):
                draw.take(numbers, reply)
        return tuple(response for draw in draws for response in draw.responses())

    def _settle(self, draw: _Draws) -> None:
        """Finds out on one question how the server can be asked. What it refuses is remembered for the process."""
        server = server_of(self.endpoint)
        open_ = {IDS, SEVERAL} if draw.several else {IDS}
        if open_ <= server.settled:
            return
        last = ""
        for form in (set(), {SEVERAL}, {IDS}, {IDS, SEVERAL}):
            if form - open_ or not server.refused & open_ <= form:
                continue  # nothing new, or refused before
            numbers, request = draw.request(draw.numbers, form)
            (reply,) = ask(self.endpoint, [request], "asking how to ask")
            if not isinstance(reply, Failure) or not reply.refused:
                server.refused |= form
                server.settled |= open_
                draw.take(numbers, reply)
                return
            last = reply.reason
        raise UserError(
            f"{self.endpoint.model} at {self.endpoint.base_url} refuses to complete a prompt ({last}): "
            "sampling.decoding.top_k=0 and top_p=1.0 leave out what a server may not know"
        )


class _Draws:
    """The samples of one question: which are asked for, and which have come."""

    def __init__(
        self, sampler: ServerSampler, model: LanguageModel, question: Question, numbers: range, seed: int
    ) -> None:
        self.sampler = sampler
        self.model = model
        self.question = question
        self.numbers = numbers
        self.name = draw_name(question, seed)
        self.prompt = model.prompt_ids(question.text)
        self.several = len(numbers) > 1 and sampler.decoding.temperature > 0  # greedy answers are all the same
        self.found: dict[int, Response] = {}

    def requests(self, several: bool) -> list[tuple[Sequence[int], Request]]:
        """For all samples that have not come: one request, or one each."""
        refused = server_of(self.sampler.endpoint).refused & {IDS, SEVERAL}
        missing = [n for n in self.numbers if n not in self.found]
        if not missing:
            return []
        if several and self.several and SEVERAL not in refused:
            return [self.request(missing, refused)]
        return [self.request([n], refused) for n in missing]

    def request(self, numbers: Sequence[int], refused: set[str]) -> tuple[Sequence[int], Request]:
        from hneuro.responses.noise import row_seed

        count = len(numbers) if self.several and SEVERAL not in refused else 1
        draw = f"{self.name}/{numbers[0]}" if count == 1 or numbers[0] else self.name
        decoding = self.sampler.decoding
        body: dict[str, Any] = {
            "prompt": _text_of_prompt(self.model, self.prompt) if IDS in refused else list(self.prompt),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
        }
        if decoding.temperature > 0:
            body["seed"] = row_seed(draw) & 0x7FFFFFFF  # what every server takes
        if decoding.top_k:
            body["top_k"] = decoding.top_k
        if count > 1:
            body["n"] = count
        if self.model.completion and self.model.spec.prompting.completion_stop:
            body["stop"] = [self.model.spec.prompting.completion_stop]
        extras = EXTRAS if decoding.top_k else EXTRAS | ALL_TOKENS
        return numbers[:count], Request(path="completions", body=body, extras=extras)

    def take(self, numbers: Sequence[int], reply: Reply | Failure) -> None:
        """Keeps what has come. A request that failed loses its samples; a reply with too few leaves all of them open,
        so that no response depends on which request taught us that the server gives one at a time.
        """
        if isinstance(reply, Failure):
            lost = f"not sampled, {reply.reason}"
            choices: list[Any] = [None] * len(numbers)
        else:
            lost = ""
            self._check_prompt(reply, len(numbers))
            listed = reply.get("choices")
            choices = listed[: len(numbers)] if isinstance(listed, list) else []
            if len(choices) < len(numbers):
                server_of(self.sampler.endpoint).refused.add(SEVERAL)
                return
        for n, choice in zip(numbers, choices, strict=True):
            self.found[n] = read_choice(self.model, self.question, n, self.prompt, choice, lost)

    def responses(self) -> list[Response]:
        lost = "not sampled: a reply without choices"
        return [
            self.found.get(n) or read_choice(self.model, self.question, n, self.prompt, None, lost)
            for n in self.numbers
        ]

    def _check_prompt(self, reply: Reply, count: int) -> None:
        """The server has read as many tokens as our prompt has: else it has another template, tokenizer or BOS."""
        usage = reply.get("usage")
        read = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
        if isinstance(read, int) and read not in (len(self.prompt), count * len(self.prompt)):
            endpoint = self.sampler.endpoint
            raise UserError(
                f"{endpoint.model} at {endpoint.base_url} reads {read} tokens where the prompt of "
                f"{self.model.source.locate()} has {len(self.prompt)}: serve that very checkpoint, and set "
                "sampling.endpoint.revision to a new word"
            )


def _text_of_prompt(model: LanguageModel, prompt: Sequence[int]) -> str:
    """The text that the tokenizer makes the prompt's ids of: without the BOS that it adds by itself."""
    tokenizer = model.tokenizer
    whole = tokenizer.decode(list(prompt), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    for text in (whole, whole.removeprefix(tokenizer.bos_token or "").removeprefix(" "), whole.lstrip()):
        if tuple(tokenizer(text)["input_ids"]) == tuple(prompt):
            return str(text)
    raise UserError(
        f"the server takes texts only, and no text gives the prompt of {tokenizer.name_or_path} token by token: "
        "use a server that completes token ids, such as vLLM"
    )
