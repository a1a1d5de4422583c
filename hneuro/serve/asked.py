"""What a client may ask, and how what it may not is refused: in one line, in the form that OpenAI gives errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hneuro.models.edits import LARGEST

LONGEST = 80  # characters of a name that an error repeats


class Refused(Exception):  # noqa: N818
    """The HTTP status and the error of a reply."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None, retry: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.retry = status, retry  # seconds
        kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class Body(BaseModel):
    """Fields that are not here are refused, as ignoring them would be to do something else than was asked."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class TextPart(Body):
    type: Literal["text"]
    text: str


class Message(Body):
    role: Literal["system", "user", "assistant"]
    content: str | list[TextPart]
    name: None = None

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(Body):
    include_usage: bool | None = None


class TextFormat(Body):
    type: Literal["text"]


class Generation(Body):
    """What both ways of asking have in common."""

    model: str | None = None
    n: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    alpha: float | None = Field(None, ge=0, le=LARGEST)  # ours: the factor of the H-Neurons
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None
    # Of these only what changes nothing.
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logit_bias: dict[str, float] | None = Field(None, max_length=0)

    @property
    def stops(self) -> tuple[str, ...]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        if len(given) > 4 or any(not 0 < len(stop) <= 200 for stop in given):
            raise Refused(400, "'stop' takes at most 4 texts of 1 to 200 characters", param="stop")
        return tuple(given)


class Chat(Generation):
    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    prefix: str | None = Field(None, min_length=1)  # ours: what the answer begins with
    response_format: TextFormat | None = None

    @property
    def longest(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def likeliest(self) -> int:
        if self.top_logprobs and not self.logprobs:
            raise Refused(400, "'top_logprobs' needs 'logprobs': true", param="top_logprobs")
        return self.top_logprobs or 0


class Completion(Generation):
    prompt: str = Field(min_length=1)
    logprobs: int | None = Field(None, ge=0, le=5)
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None

    @property
    def longest(self) -> int:
        return self.max_tokens or 16

    @property
    def likeliest(self) -> int:
        return self.logprobs or 0


class ToScore(Body):
    question: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    model: str | None = None


class ToLabel(Body):
    label: Literal["correct", "wrong", "refused", "unjudged"]


B = TypeVar("B", bound=Body)


def parsed(kind: type[B], content: bytes) -> B:
    """The body of a request; `Refused` says what does not fit."""
    try:
        given = json.loads(content)
        json.dumps(given, ensure_ascii=False).encode()  # half a character, as "\\ud800" is, is not text
        return kind.model_validate(given)
    except ValidationError as fault:
        raise _refusal(fault.errors(include_url=False, include_input=False)) from fault
    except (ValueError, RecursionError) as fault:
        raise Refused(400, "the body is not JSON that can be read") from fault


def _refusal(faults: Sequence[Any]) -> Refused:
    first = faults[0]
    where = ".".join(map(str, first["loc"]))[:LONGEST].encode(errors="replace").decode()
    if first["type"] == "extra_forbidden":
        return Refused(400, f"{where!r} is not supported", param=where, code="unsupported_parameter")
    said = f"{where!r}: {first['msg']}" if where else "the body must be a JSON object"
    return Refused(400, said, param=where or None)
