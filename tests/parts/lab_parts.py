"""Parts of somebody else's package, named by `_target_` and registered nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hneuro.causal.benchmarks.base import Answer, ByRule
from hneuro.models.language_model import LanguageModel
from hneuro.records import AnswerSpan, BenchmarkItem, Outcome, Question, Reading, Response
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler, response
from hneuro.spans.base import Item, no_span
from hneuro.spans.short_answer import ShortAnswer
from hneuro.spans.tokens import Decode


@dataclass(frozen=True, kw_only=True)
class YesNo(ByRule):
    """Prompts for a random model. Its answers mean nothing, but they fall on both sides, and some on none."""

    prompts: int = 8
    name: str = "yes_no"
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0, max_new_tokens=4))

    def items(self) -> tuple[BenchmarkItem, ...]:
        return tuple(
            BenchmarkItem(
                id=f"yes_no/{n}",
                benchmark=self.name,
                messages=({"role": "user", "content": f"Is it number {n}?"},),
                comply=("yes",),
                resist=("no",),
            )
            for n in range(self.prompts)
        )

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        if not text.strip():
            return Outcome.UNPARSED
        return Outcome.COMPLIES if sum(text.encode()) % 2 else Outcome.RESISTS


@dataclass(frozen=True, kw_only=True)
class Doubted(YesNo):
    """Prompts that go on after a first reply, some of which test nothing: which ones, that reply says."""

    name: str = "doubted"

    def items(self) -> tuple[BenchmarkItem, ...]:
        return tuple(replace(item, follow_ups=("Are you sure?",), comply=(), resist=()) for item in super().items())

    def readings(self, answers: Sequence[Answer]) -> Sequence[Reading]:
        left_out = Reading(outcome=Outcome.EXCLUDED, reason="the first reply is odd")
        read = super().readings(answers)
        return [
            left_out if sum(replies[0].encode()) % 2 else reading
            for (_, replies), reading in zip(answers, read, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Forgetful(ShortAnswer):
    """Short answers, of which those to questions whose number ends with 0 or 5 are not located."""

    def locate(self, items: Sequence[Item], decode: Decode) -> tuple[AnswerSpan, ...]:
        return tuple(
            no_span(item[1], "forgotten", "forgetful") if item[0].id[-1] in "05" else span
            for item, span in zip(items, super().locate(items, decode), strict=True)
        )


running: list[str] = []  # models that an engine holds


@dataclass(frozen=True, kw_only=True)
class Engine(TransformersSampler):
    """A sampler that holds the device, needs no weights and tells no entropies: it knows every second gold answer."""

    def reads(self, model: LanguageModel) -> Mapping[str, Any]:
        return model.asked

    def sample(
        self, model: LanguageModel, questions: Sequence[Question], samples: int, seed: int, first: int = 0
    ) -> tuple[Response, ...]:
        running[:] = [model.source.locate()]
        made = []
        for question in questions:
            text = question.answers[0] if int(question.id) % 2 else "Tuesday"
            ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
            prompt = model.prompt_ids(question.text)
            made += [response(model, question, n, prompt, ids, [-1.0] * len(ids), ()) for n in range(first, samples)]
        return tuple(made)

    def close(self) -> None:
        running.clear()
