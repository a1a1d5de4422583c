"""The real vLLM, on SmolLM2: `scripts/test_engines` makes an environment for it. Without vLLM nothing here runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import hneuro
from hneuro.causal.vllm_sweep import VllmSweep
from hneuro.contributions.extract import extract
from hneuro.detection.detector import Classifier
from hneuro.detection.live import Turn
from hneuro.detector import Detector
from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.vllm import VllmSampler
from hneuro.serve.vllm_live import VllmLive

pytestmark = pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
CITIES = ("Kofu", "Bonn", "Lyon", "Bogota", "Kisumu", "Perth", "Graz", "Turku", "Recife", "Hanoi")
QUESTIONS = [f"In which country is {city}?" for city in CITIES]
SEEDED = torch.cuda.is_available()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> hneuro.Model:
    """SmolLM2 as a folder of plain weights: vLLM reads no GGUF as we do."""
    folder = tmp_path_factory.mktemp("smollm2")
    fetched = hneuro.load("smollm2_135m").language_model
    fetched.loaded.model.save_pretrained(folder)
    fetched.tokenizer.save_pretrained(folder)
    return hneuro.load(folder)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    VllmSampler().close()


def sampler(**other: Any) -> VllmSampler:
    settings = {"dtype": "float32", "max_model_len": 512, "gpu_memory_utilization": 0.3, "enforce_eager": True}
    settings |= {"seeded": SEEDED}
    return VllmSampler(**settings | other)


def test_samples_have_the_log_probabilities_that_transformers_gives(model: hneuro.Model) -> None:
    questions = [Question(id=q, dataset="d", text=q, answers=(), entity="") for q in QUESTIONS]
    of = sampler(samples=3, decoding=Decoding(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=16))
    made = of.sample(model.language_model, questions, 3, 0)
    assert len(made) == 30
    for response in made:
        ids = torch.tensor([(*response.prompt_ids, *response.token_ids)])
        with torch.inference_mode():
            logits = model.language_model.loaded.model(ids).logits[0, len(response.prompt_ids) - 1 : -1]
        known = torch.log_softmax(logits, dim=-1).gather(1, ids[0, len(response.prompt_ids) :, None])[:, 0]
        assert known.numpy() == pytest.approx(response.logprobs, abs=1e-3)


@pytest.mark.skipif(SEEDED, reason="a GPU takes seeds")
def test_on_a_cpu_seeds_are_refused(model: hneuro.Model) -> None:
    questions = [Question(id="q", dataset="d", text=QUESTIONS[0], answers=(), entity="")]
    with pytest.raises(UserError, match=r"vLLM on a CPU dies of a request with a seed: choose sampling.seeded=false"):
        sampler(seeded=True).sample(model.language_model, questions, 1, 0)


@pytest.mark.skipif(SEEDED, reason="a GPU keeps its weights as they are")
def test_on_a_cpu_weights_are_repacked_and_no_column_is_scaled(model: hneuro.Model) -> None:
    sweep = VllmSweep(model.language_model, sampler(), Decoding(temperature=0.0, max_new_tokens=4), model.space)
    with pytest.raises(UserError, match=r"cannot edit .*repacked.*choose intervention.engine=transformers"):
        sweep.openings([])


def detector_of(model: hneuro.Model) -> Detector:
    """Of forty neurons anywhere: what is tested is what it reads."""
    draw = np.random.default_rng(0)
    columns = tuple(sorted(draw.choice(model.space.size, 40, replace=False).tolist()))
    detector = Detector(
        classifier=Classifier(columns=columns, weight=20 * draw.normal(size=40), bias=-0.3, threshold=0.5),
        space=model.space,
        position="token",
        span={},
        model_config={},
        weights="",
        trained="",
    )
    detector.__dict__["model"] = model
    return detector


def extracted(model: LanguageModel, detector: Detector, turn: Turn) -> np.ndarray[Any, Any]:
    """Log-odds at the end of the prompt and at every token, by the extraction that a run uses."""
    ids, start = (*turn.prompt_ids, *turn.token_ids), len(turn.prompt_ids)
    each = np.eye(len(ids), dtype=np.float32)[start - 1 :]
    (read,) = extract(model.loaded, [ids], [each], len(ids), only=detector.classifier.columns)
    return detector.classifier.on_columns().scores(read)


def test_risks_in_its_workers_are_those_of_the_extraction(model: hneuro.Model) -> None:
    """Answers that join later, one that is cancelled, several lengths and ends, greedy and drawn, in one batch."""
    detector, chat = detector_of(model), model.language_model
    turns = [
        Turn(
            prompt_ids=chat.prompt_ids(question),
            decoding=Decoding(temperature=0.7 * (n % 2), top_k=0, top_p=1.0, max_new_tokens=12 + n),
            likeliest=2 * (n == 3),
        )
        for n, question in enumerate(QUESTIONS)
    ]
    live, steps = VllmLive(detector), 0
    live.add(turns[:6])
    while live.turns:
        live.step()
        steps += 1
        if steps == 3:
            live.add(turns[6:])
        if steps == 5:
            turns[2].finish = "cancelled"
    assert steps < 40, "they shared their steps"
    assert turns[2].finish == "cancelled"
    assert {turn.finish for turn in turns} == {"cancelled", "stop", "length"}
    for turn in turns:
        read = extracted(chat, detector, turn)[: len(turn.log_odds)]
        assert len(turn.token_ids) == len(turn.logprobs)
        assert turn.finish == "cancelled" or len(turn.log_odds) == len(turn.token_ids) + 1
        assert np.abs(read - turn.log_odds).max() < 1e-3
        assert np.sum(turn.added, axis=1) + detector.classifier.bias == pytest.approx(turn.log_odds, abs=1e-5)
    assert [len(likely) for likely in turns[3].likely] == [2] * len(turns[3].token_ids)
