"""Letters from logits: the prediction, the draws, and what a response keeps of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from hneuro.models.language_model import LanguageModel
from hneuro.questions.options import OptionLayout
from hneuro.records import Question, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.letters import LetterSampler, letter_ids
from hneuro.responses.sampler import TransformersSampler
from hneuro.spans.base import SpanLocator
from hneuro.spans.short_answer import LetterLocator, ShortAnswer


def question(name: str, stem: str, *options: str) -> Question:
    text = OptionLayout().text(stem, options)
    return Question(id=name, dataset="tiny", text=text, answers=options[:1], entity=name, options=options)


QUESTIONS = [
    question("rome", "Which river runs through Rome?", "Po", "Tiber", "Arno", "Adda"),
    question("yes", "Is it?", "yes", "no"),
    question("long", "Which of these is by far the longest of all its options?", "this", "that, I should say", "none"),
]


def direct(model: LanguageModel, asked: Question) -> torch.Tensor:
    """Log-probabilities over the letters alone, from a forward pass of one prompt, in float64."""
    ids = torch.tensor([model.prompt_ids(asked.text)])
    with torch.inference_mode():
        logits = model.loaded.model(ids).logits[0, -1].double()
    return torch.log_softmax(logits[list(letter_ids(model, len(asked.options)))], 0)


def test_the_prediction_is_the_likeliest_letter_and_keeps_its_probability(language_model: LanguageModel) -> None:
    made = LetterSampler().sample(language_model, QUESTIONS, 1, seed=0)
    assert [(r.question_id, r.sample) for r in made] == [(q.id, 0) for q in QUESTIONS]
    for asked, response in zip(QUESTIONS, made, strict=True):
        expected = direct(language_model, asked)
        letter = int(expected.argmax())
        assert response.prompt_ids == language_model.prompt_ids(asked.text)
        assert response.token_ids == (letter_ids(language_model, 4)[letter],)
        assert response.text == "ABCD"[letter]
        assert response.logprobs == pytest.approx((float(expected[letter]),), abs=1e-5)
        assert response.entropies == pytest.approx((float(-(expected.exp() * expected).sum()),), abs=1e-5)


def test_no_letter_beyond_the_options_is_said(language_model: LanguageModel) -> None:
    """Peers allow ten letters for four options; here, longer questions of the same batch lend no letters."""
    made = LetterSampler().sample(language_model, QUESTIONS, 200, seed=0)
    for asked in QUESTIONS:
        assert {r.text for r in made if r.question_id == asked.id} == set("ABCD"[: len(asked.options)])


def test_draws_follow_the_softmax(language_model: LanguageModel) -> None:
    draws = 3000
    made = LetterSampler().sample(language_model, QUESTIONS, 1 + draws, seed=0)
    for asked in QUESTIONS:
        probabilities = direct(language_model, asked).exp().numpy()
        said = Counter(r.text for r in made if r.question_id == asked.id and r.sample > 0)
        seen = [said[letter] for letter in "ABCD"[: len(asked.options)]]
        assert np.max(probabilities) < 0.99
        assert chisquare(seen, probabilities * draws).pvalue > 1e-3
        drawn = {r.text: r.logprobs[0] for r in made if r.question_id == asked.id}
        assert np.exp(sorted(drawn.values())) == pytest.approx(sorted(probabilities), abs=1e-5)


def test_a_response_depends_on_its_question_sample_and_seed_alone(language_model: LanguageModel) -> None:
    made = {(r.question_id, r.sample): r for r in LetterSampler().sample(language_model, QUESTIONS, 30, seed=0)}
    one_by_one = LetterSampler(token_budget=1)
    for asked in reversed(QUESTIONS):
        for response in one_by_one.sample(language_model, [asked], 20, seed=0):
            assert response.token_ids == made[asked.id, response.sample].token_ids
            assert response.logprobs == pytest.approx(made[asked.id, response.sample].logprobs, abs=1e-5)
    other = LetterSampler().sample(language_model, QUESTIONS, 30, seed=1)
    assert any(r.token_ids != made[r.question_id, r.sample].token_ids for r in other)
    assert all(r.token_ids == made[r.question_id, 0].token_ids for r in other if r.sample == 0)


@pytest.mark.parametrize("locator", [LetterLocator(), ShortAnswer()])
def test_the_span_of_a_letter_is_its_token(locator: SpanLocator, language_model: LanguageModel) -> None:
    asked = QUESTIONS[0]
    (response,) = LetterSampler().sample(language_model, [asked], 1, seed=0)
    (span,) = locator.locate([(asked, response)], language_model.text_of)
    assert (span.tokens, span.text) == ((0,), response.text)


def test_questions_and_sampler_must_fit(language_model: LanguageModel) -> None:
    open_question = Question(id="q9", dataset="tiny", text="Who?", answers=("I",), entity="x")
    with pytest.raises(UserError, match=r"'q9' has no options, .* choose sampling=transformers"):
        LetterSampler().check(language_model, [*QUESTIONS, open_question])
    with pytest.raises(UserError, match=r"'rome' has options, .* choose sampling=letters and judge=letter"):
        TransformersSampler(decoding=Decoding()).check(language_model, [open_question, *QUESTIONS])
    LetterSampler().check(language_model, QUESTIONS)
    TransformersSampler().check(language_model, [open_question])


def test_the_letters_of_all_questions_are_proven_before_any_is_asked(base_model: LanguageModel) -> None:
    with pytest.raises(UserError, match="' A' as one token"):
        LetterSampler().check(base_model, QUESTIONS)
