"""A question with a few allowed answers, which a model is asked about many texts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from hneuro.endpoint.chat import Message, Said, converse, start_of
from hneuro.endpoint.client import Endpoint, Failure

FENCE = re.compile(r"```(?:json)?\s*\n(.*)\n\s*```", flags=re.DOTALL)
PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A label and the model's reason for it; without a label the reason says why there is none."""

    label: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class Rubric:
    """`prompt` has places such as {response}, which are filled with JSON, so that no text can end its own quotation.

    The model must reply with a JSON object that has `reason` and `label`, one of `labels`; `insist` is said to one that
    does not, once. Numbers are labels too: "0" to "4".
    """

    name: str
    version: int = 1
    prompt: str
    labels: tuple[str, ...]
    insist: str = "Reply with nothing but the JSON object that was asked for."
    max_tokens: int = 300

    def __post_init__(self) -> None:
        if len(set(map(str.casefold, self.labels))) < len(self.labels) or len(self.labels) < 2:
            raise ValueError("labels must be at least two, all different")
        if not PLACE.search(self.prompt):
            raise ValueError("prompt has no place for a text, such as {response}")
        if self.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")

    @cached_property
    def signature(self) -> str:
        """Name, version and digest of everything that is asked: grades of different questions never mix."""
        asked = [self.prompt, self.labels, self.insist]
        return f"{self.name}-v{self.version}-{sha256(json.dumps(asked).encode()).hexdigest()[:6]}"

    @property
    def places(self) -> set[str]:
        """What has to be given for every text."""
        return set(PLACE.findall(self.prompt))

    def message(self, texts: Mapping[str, Any]) -> Message:
        filled = PLACE.sub(lambda found: json.dumps(texts[found[1]], ensure_ascii=False), self.prompt)
        return {"role": "user", "content": filled}

    @property
    def schema(self) -> Mapping[str, Any]:
        """The response_format of a server that can keep to a JSON schema."""
        properties = {"reason": {"type": "string"}, "label": {"type": "string", "enum": list(self.labels)}}
        shape = {"type": "object", "properties": properties, "required": list(properties)}
        name = re.sub(r"\W", "_", self.name)[:60]
        wanted = {"name": name, "strict": True, "schema": shape | {"additionalProperties": False}}
        return {"type": "json_schema", "json_schema": wanted}

    def read(self, text: str) -> Grade:
        """The grade that a reply states; none where it is not exactly one JSON object with one of the labels."""
        fenced = FENCE.fullmatch(text.strip())
        try:
            said = json.loads(fenced[1] if fenced else text, object_pairs_hook=_without_twins)
        except ValueError:
            return Grade(label=None, reason=f"a reply that is not the JSON object: {start_of(text)}")
        if not isinstance(said, dict) or not isinstance(said.get("label"), str | int) or said["label"] is True:
            return Grade(label=None, reason=f"a reply without a label: {start_of(text)}")
        word = str(said["label"]).strip().casefold()
        label = next((label for label in self.labels if label.casefold() == word), None)
        if label is None:
            return Grade(label=None, reason=f"a label that is none of the allowed: {start_of(text)}")
        return Grade(label=label, reason=" ".join(str(said.get("reason", "")).split()))


@dataclass(frozen=True, kw_only=True)
class Grader:
    """A rubric and the model that is asked: of which every verdict of a model is made."""

    endpoint: Endpoint
    rubric: Rubric

    @property
    def name(self) -> str:
        return f"{self.endpoint.model}/{self.rubric.signature}"

    def grade(self, items: Sequence[Mapping[str, Any]], about: str) -> tuple[Grade, ...]:
        """A grade for each of `items`, which give the rubric's places their texts. Failures have no label."""
        asked = [[self.rubric.message(item)] for item in items]
        replies = self._ask(asked, about)
        grades = [self._grade(reply) for reply in replies]
        insisting: dict[int, list[Message]] = {}
        for n, reply in enumerate(replies):
            if isinstance(reply, Said) and grades[n].label is None:
                assistant = {"role": "assistant", "content": reply.text}
                insisting[n] = [*asked[n], assistant, {"role": "user", "content": self.rubric.insist}]
        second = self._ask(list(insisting.values()), f"{about}, again")
        for n, reply in zip(insisting, second, strict=True):
            if (grade := self._grade(reply)).label is not None:
                grades[n] = grade
        return tuple(grades)

    def _ask(self, prompts: Sequence[Sequence[Message]], about: str) -> tuple[Said | Failure, ...]:
        return converse(
            self.endpoint, prompts, self.rubric.max_tokens, about, extras={"response_format": self.rubric.schema}
        )

    def _grade(self, reply: Said | Failure) -> Grade:
        if isinstance(reply, Failure):
            return Grade(label=None, reason=reply.reason)
        if not reply.whole:
            return Grade(label=None, reason=f"a reply that was cut off: {start_of(reply.text)}")
        return self.rubric.read(reply.text)


def _without_twins(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A label that is there twice is two labels."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)
