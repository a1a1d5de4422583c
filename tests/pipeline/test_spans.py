"""Spans in the store, and what becomes of responses without one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lab_parts import Forgetful

from hneuro.contributions.regions import ContributionSettings
from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.pipeline.answers import measure
from hneuro.pipeline.run import Run
from hneuro.records import ASIDE, LabelledResponse, Question, Response, UserError
from hneuro.spans.base import SpanLocator
from hneuro.spans.llm import LlmLocator, Messages
from hneuro.spans.recorded import RecordedLocator
from hneuro.spans.short_answer import ShortAnswer
from hneuro.store import Kept, Store

QUESTIONS = tuple(
    Question(id=f"q{n}", dataset="d", text=f"Who is {n}?", answers=(f"Ada {n}",), entity=f"e{n}") for n in range(20)
)
LABELLED = tuple(
    LabelledResponse(question_id=q.id, group=q.group, sample=0, hallucinated=n % 2 == 0)
    for n, q in enumerate(QUESTIONS)
)


@pytest.fixture
def responses(language_model: LanguageModel) -> Kept[tuple[Response, ...]]:
    made = []
    for question in QUESTIONS:
        ids = tuple(language_model.tokenizer(f"It is {question.answers[0]}.", add_special_tokens=False)["input_ids"])
        made.append(
            Response(
                question_id=question.id,
                sample=0,
                prompt_ids=(1, 5, 6),
                token_ids=ids,
                text=language_model.text_of(ids),
                logprobs=(-1.0,) * len(ids),
                entropies=(0.5,) * len(ids),
            )
        )
    return Kept(lambda: tuple(made), "responses")


@dataclass
class Model:
    """A client that dies after some prompts, and counts them."""

    lives: int = field(default=1000, metadata=ASIDE)
    asked: list[str] = field(default_factory=list, compare=False, metadata=ASIDE)

    def check(self) -> None:
        pass

    def ask(self, prompts: Sequence[Messages]) -> Sequence[str]:
        for messages in prompts:
            self.asked.append(messages[0]["content"])
            if len(self.asked) > self.lives:
                raise KeyboardInterrupt
        return ["Ada"] * len(prompts)


def located(
    store: Store,
    part: SpanLocator,
    model: LanguageModel,
    responses: Kept[Any],
    questions: Sequence[Question] = QUESTIONS,
) -> list[str]:
    return [s.text for s in stored.locate(store, part, model, questions, responses, LABELLED).value]


def test_what_a_model_was_asked_before_a_run_died_is_not_asked_again(
    language_model: LanguageModel, responses: Kept[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "RESPONSES_PER_SHARD", 8)
    prompt = "{question} {response}"
    dying, living = Model(lives=12), Model()
    with pytest.raises(KeyboardInterrupt):
        located(Store(tmp_path), LlmLocator(client=dying, prompt=prompt), language_model, responses)
    assert located(Store(tmp_path), LlmLocator(client=living, prompt=prompt), language_model, responses) == ["Ada"] * 20
    assert living.asked == [f"Who is {n}? It is Ada {n}." for n in range(8, 20)]
    again = Model()
    located(Store(tmp_path), LlmLocator(client=again, prompt=prompt), language_model, responses)
    assert again.asked == []


def test_spans_are_located_anew_where_what_they_read_has_changed(
    language_model: LanguageModel, responses: Kept[Any], tmp_path: Path
) -> None:
    store, file = Store(tmp_path / "store"), tmp_path / "r.jsonl"

    def recorded(tokens: list[str]) -> list[str]:
        rows = [{"question_id": q.id, "text": f"It is {q.answers[0]}.", "answer_tokens": tokens} for q in QUESTIONS]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return located(store, RecordedLocator(path=str(file)), language_model, responses)

    assert recorded(["Ada"]) == ["Ada"] * 20
    assert recorded(["▁is", "▁Ada"]) == ["is Ada"] * 20  # the same path
    other = [replace(q, text="Ada?") for q in QUESTIONS]
    for questions in (QUESTIONS, QUESTIONS, other):
        located(store, ShortAnswer(), language_model, responses, questions)
    assert store.tally.computed == ["spans"] * 4
    assert store.tally.loaded == ["spans"]


def a_run(language_model: LanguageModel, store: Store, part: SpanLocator, max_span_loss: float) -> Run:
    setup = SimpleNamespace(
        span=part,
        max_span_loss=max_span_loss,
        contribution=ContributionSettings(),
        labeling=SimpleNamespace(tested="answer"),
    )
    run = Run(setup, store, asked=None)  # type: ignore[arg-type]
    run.__dict__["chat"] = language_model
    return run


def test_a_run_stops_above_the_allowed_loss_and_goes_on_below_it(
    language_model: LanguageModel, responses: Kept[Any], tmp_path: Path
) -> None:
    run = a_run(language_model, Store(tmp_path), Forgetful(), 0.01)
    with pytest.raises(UserError) as caught:
        measure(run, language_model, "fit", QUESTIONS, responses, LABELLED)
    assert str(caught.value) == (
        "fit: the answer was not located in 4 of 20 labelled responses (20.0%, max_span_loss is 1.0%): "
        "2 forgotten (hallucinated), 2 forgotten (faithful); choose another span, or allow the loss with "
        "max_span_loss=0.2"
    )
    run = a_run(language_model, Store(tmp_path), Forgetful(), 0.2)
    answers = measure(run, language_model, "fit", QUESTIONS, responses, LABELLED)
    (step,) = answers.trail.funnel
    assert (step.entered, step.left) == (20, 16)
    assert step.lost == {"forgotten (hallucinated)": 2, "forgotten (faithful)": 2}
    kept = [f"q{n}" for n in range(20) if n % 5]
    assert [r.question_id for r in answers.labelled] == [key for key, _ in answers.found.keys] == kept
    assert answers.rows().lines.shape == (16,)
    assert {s.text for s in answers.spans.values()} == {f"Ada {key[1:]}" for key in kept}
