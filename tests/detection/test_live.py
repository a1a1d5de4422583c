"""Turns that share a batch: each is what it would be alone, whoever comes and goes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from hneuro.contributions.extract import extract
from hneuro.contributions.regions import reading_weights
from hneuro.detection.detector import Classifier
from hneuro.detection.live import Live, Turn
from hneuro.models.edits import UNTOUCHED, scaled
from hneuro.models.language_model import LanguageModel
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, end_ids, generate

COLUMNS = (3, 70, 71, 150)
DETECTOR = Classifier(columns=COLUMNS, weight=np.array([1.0, -2.0, 0.5, 3.0]), bias=0.3, threshold=0.0)
PROMPTS = [(1, 3, 40, 41, 42, 2, 4), (1, 3, 99, 2, 4), (1, 3, *range(60, 80), 2, 4), (1, 3, 40, 41, 42, 2, 4)]
HOW = [
    Decoding(temperature=0.0, max_new_tokens=9),
    Decoding(temperature=1.0, top_k=0, top_p=0.9, max_new_tokens=14),
    Decoding(temperature=0.7, top_k=0, top_p=1.0, max_new_tokens=6),
    Decoding(temperature=1.0, top_k=0, top_p=0.9, max_new_tokens=11),
]


@pytest.fixture
def endless(language_model: LanguageModel) -> Iterator[LanguageModel]:
    config = language_model.loaded.model.generation_config
    before, config.eos_token_id = config.eos_token_id, None
    yield language_model
    config.eos_token_id = before


def turns() -> list[Turn]:
    asked = enumerate(zip(PROMPTS, HOW, strict=True))
    return [Turn(prompt_ids=ids, decoding=how, seed=str(n)) for n, (ids, how) in asked]


def alone(model: LanguageModel) -> list[tuple[int, ...]]:
    return [
        generate(model.loaded, 0, [Job(ids, str(n))], how)[0].token_ids
        for n, (ids, how) in enumerate(zip(PROMPTS, HOW, strict=True))
    ]


def test_turns_that_come_and_go_say_what_they_say_alone(endless: LanguageModel) -> None:
    live, mine = Live(endless, DETECTOR), turns()
    live.add(mine[:1])
    for n in range(40):
        live.step()
        if n in (1, 3):
            live.add(mine[1:3] if n == 1 else mine[3:])
    assert [tuple(turn.token_ids) for turn in mine] == alone(endless)
    assert {turn.finish for turn in mine} == {"length"}
    assert live.rows is None
    for turn in mine:
        ids, prompt = (*turn.prompt_ids, *turn.token_ids), len(turn.prompt_ids)
        weights = reading_weights(prompt, len(turn.token_ids), [prompt - 1], "token")
        read = extract(endless.loaded, [ids], [weights], 4096, only=COLUMNS)[0]
        expected = DETECTOR.on_columns().scores(read)
        np.testing.assert_allclose(turn.log_odds, [expected[-1], *expected[:-1]], atol=1e-5)
        assert len(turn.logprobs) == len(turn.token_ids)


def test_a_token_is_there_when_it_is_drawn_and_prompts_are_read_in_one_pass(endless: LanguageModel) -> None:
    passes = list[int]()
    model = endless.loaded.model
    hook = model.register_forward_pre_hook(
        lambda _, __, given: passes.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    try:
        live, mine = Live(endless, DETECTOR), turns()
        live.add([mine[0], mine[3]])
        assert passes == [len(PROMPTS[0])]
        assert [(len(turn.token_ids), len(turn.log_odds)) for turn in (mine[0], mine[3])] == [(1, 1), (1, 1)]
        live.step()
        assert passes[1:] == [1]
        assert [(len(turn.token_ids), len(turn.log_odds)) for turn in (mine[0], mine[3])] == [(2, 2), (2, 2)]
    finally:
        hook.remove()


def test_scaled_turns_share_a_batch_with_untouched_ones(endless: LanguageModel) -> None:
    treatments = [UNTOUCHED, scaled(COLUMNS, 0.0), scaled(range(40), 8.0), UNTOUCHED]
    live, mine = Live(endless, DETECTOR), turns()
    for turn, treatment in zip(mine, treatments, strict=True):
        turn.treatment = treatment
    for turn in mine:
        live.add([turn])
        live.step()
    while live.turns:
        live.step()
    expected = [
        generate(endless.loaded, 0, [Job(ids, str(n), treatment)], how)[0].token_ids
        for n, (ids, how, treatment) in enumerate(zip(PROMPTS, HOW, treatments, strict=True))
    ]
    assert [tuple(turn.token_ids) for turn in mine] == expected
    assert expected[2] != alone(endless)[2]


def test_a_turn_ends_at_its_end_token_whose_text_is_not_its_own(language_model: LanguageModel) -> None:
    ends = end_ids(language_model.loaded.model)
    live = Live(language_model, DETECTOR)
    many = [
        Turn(prompt_ids=PROMPTS[0], decoding=Decoding(top_k=0, top_p=1.0, max_new_tokens=60), seed=str(n), likeliest=2)
        for n in range(24)
    ]
    live.add(many)
    while live.turns:
        live.step()
    stopped = [turn for turn in many if turn.finish == "stop"]
    assert stopped
    for turn in many:
        assert not ends & set(turn.token_ids)
        assert len(turn.log_odds) == len(turn.token_ids) + 1 == len(turn.likely) + 1
