"""Samplers keep what the model said, token by token, whatever the order of the work."""

from __future__ import annotations

from dataclasses import replace

import torch

from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, Response
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler

SAMPLER = TransformersSampler(samples=3, decoding=Decoding(max_new_tokens=10), token_budget=400)


def question(number: int, text: str) -> Question:
    return Question(id=f"q{number}", dataset="tiny", text=text, answers=("x",), entity=str(number))


QUESTIONS = [
    question(n, t) for n, t in enumerate(["Who wrote Hamlet?", "Where?", "Who was it that wrote it, and why?"])
]


def test_responses_come_by_question_then_by_sample(language_model: LanguageModel) -> None:
    made = SAMPLER.sample(language_model, QUESTIONS, 3, seed=0)
    assert [(r.question_id, r.sample) for r in made] == [(q.id, n) for q in QUESTIONS for n in range(3)]
    assert len({r.token_ids for r in made}) == 9
    for response in made:
        asked = next(q for q in QUESTIONS if q.id == response.question_id)
        assert response.prompt_ids == language_model.prompt_ids(asked.text)
        assert response.text == language_model.text_of(response.token_ids)
        assert len(response.token_ids) == len(response.logprobs) == len(response.entropies) <= 10


def test_a_response_depends_on_its_question_sample_and_seed_alone(language_model: LanguageModel) -> None:
    """So a run that is killed and resumed, in other shards and batches, draws the same."""
    made = {(r.question_id, r.sample): r.token_ids for r in SAMPLER.sample(language_model, QUESTIONS, 3, seed=0)}
    one_by_one = replace(SAMPLER, token_budget=1)
    for asked in reversed(QUESTIONS):
        for response in one_by_one.sample(language_model, [asked], 2, seed=0):
            assert response.token_ids == made[asked.id, response.sample]
    other = SAMPLER.sample(language_model, QUESTIONS, 3, seed=1)
    assert all(r.token_ids != made[r.question_id, r.sample] for r in other)


def completed(base_model: LanguageModel, said: str, stop: str = "\n") -> Response:
    """The response of a base model that says `said`, whatever its weights."""
    tokens = base_model.tokenizer(said, add_special_tokens=False)["input_ids"]
    asked = QUESTIONS[0]
    start = len(base_model.prompt_ids(asked.text))

    def speak(_: object, inputs: tuple[object, ...], output: torch.Tensor) -> torch.Tensor:
        step = len(spoken)
        spoken.append(step)
        forced = torch.full_like(output, -100.0)
        forced[:, -1, tokens[step]] = 100.0
        return forced

    spoken: list[int] = []
    assert start > 1
    prompting = replace(base_model.spec.prompting, completion_stop=stop)
    model = LanguageModel(base_model.source, replace(base_model.spec, prompting=prompting), completion=True)
    model.loaded.model.lm_head.register_forward_hook(speak)
    decoding = Decoding(temperature=0, max_new_tokens=len(tokens))
    return TransformersSampler(samples=1, decoding=decoding).sample(model, [asked], 1, seed=0)[0]


def test_a_completion_ends_before_the_newline(base_model: LanguageModel) -> None:
    response = completed(base_model, " William Shakespeare\nQuestion: Who")
    assert response.text == " William Shakespeare"
    assert base_model.tokenizer.decode(response.token_ids) == " William Shakespeare"
    assert len(response.token_ids) == len(response.logprobs) == len(response.entropies)


def test_a_completion_without_newline_is_kept_whole(base_model: LanguageModel) -> None:
    assert completed(base_model, " William").text == " William"
