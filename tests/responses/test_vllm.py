"""Samples by vLLM, on a stand-in with its interface; on the real one where it is installed."""

from __future__ import annotations

import importlib.util
import inspect
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hneuro.models.language_model import LanguageModel
from hneuro.pipeline import stored
from hneuro.records import Question, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import EngineSampler, TransformersSampler
from hneuro.responses.vllm import VllmSampler, sampling_params
from hneuro.store import Store

ENGINES = Path(__file__).parents[1] / "parts" / "engines"
SETTINGS = ("VLLM_BATCH_INVARIANT", "VLLM_ENABLE_V1_MULTIPROCESSING")
SAMPLER = VllmSampler(samples=3, decoding=Decoding(max_new_tokens=8), dtype="float32")
QUESTIONS = [
    Question(id=f"q{n}", dataset="d", text=text, answers=("x",), entity=str(n))
    for n, text in enumerate(["Who wrote Hamlet?", "Where?", "Who was it that wrote it, and why?"])
]


def test_every_output_is_kept_with_its_ids_and_logprobs(vllm: Any, language_model: LanguageModel) -> None:
    made = SAMPLER.sample(language_model, QUESTIONS, 3, 0)
    assert [(r.question_id, r.sample) for r in made] == [(q.id, n) for q in QUESTIONS for n in range(3)]
    assert len({r.token_ids for r in made}) == 9
    ends = language_model.loaded.model.generation_config.eos_token_id
    for response in made:
        asked = next(q for q in QUESTIONS if q.id == response.question_id)
        assert response.prompt_ids == language_model.prompt_ids(asked.text)
        assert response.text == language_model.text_of(response.token_ids)
        assert len(response.token_ids) == 8 or response.token_ids[-1] in ends
        ids = torch.tensor([[*response.prompt_ids, *response.token_ids]])
        with torch.inference_mode():
            logits = language_model.loaded.model(ids).logits[0, len(response.prompt_ids) - 1 : -1]
        expected = torch.log_softmax(logits, -1)[torch.arange(len(response.token_ids)), list(response.token_ids)]
        np.testing.assert_allclose(response.logprobs, expected, atol=1e-4)
        assert (response.entropies, response.lost) == ((), "")
    (engine,) = vllm.started
    assert engine["max_model_len"] == 4096
    assert engine["logprobs_mode"] == "raw_logprobs"
    assert engine["revision"] is None


def test_a_response_depends_on_its_question_sample_and_seed_alone(vllm: Any, language_model: LanguageModel) -> None:
    made = {(r.question_id, r.sample): r.token_ids for r in SAMPLER.sample(language_model, QUESTIONS, 3, 0)}
    for question in reversed(QUESTIONS):
        for response in SAMPLER.sample(language_model, [question], 2, 0):
            assert response.token_ids == made[question.id, response.sample]
    assert all(r.token_ids != made[r.question_id, r.sample] for r in SAMPLER.sample(language_model, QUESTIONS, 3, 1))
    assert len(vllm.started) == 1


def test_greedy_answers_are_those_of_the_transformers_library(vllm: Any, language_model: LanguageModel) -> None:
    """vLLM refuses to give the same answer several times: it is asked once."""
    greedy = Decoding(temperature=0.0, max_new_tokens=8)
    made = replace(SAMPLER, decoding=greedy).sample(language_model, QUESTIONS, 2, 0)
    expected = TransformersSampler(samples=2, decoding=greedy).sample(language_model, QUESTIONS, 2, 0)
    assert [(r.question_id, r.sample, r.token_ids) for r in made] == [
        (r.question_id, r.sample, r.token_ids) for r in expected
    ]


def test_a_completion_ends_before_the_newline(vllm: Any, base_model: LanguageModel) -> None:
    """The engine stops at it, and the tokens that hold it do not belong to the answer."""
    flat = replace(SAMPLER, decoding=Decoding(temperature=8.0, top_k=0, top_p=1.0, max_new_tokens=40))
    spec = replace(base_model.spec, prompting=replace(base_model.spec.prompting, completion_stop="e"))
    model = LanguageModel(base_model.source, spec, completion=True)
    made = flat.sample(model, QUESTIONS, 6, 0)
    assert all("e" not in r.text for r in made)
    assert any(len(r.token_ids) < 30 for r in made)
    for response in made:
        assert len(response.token_ids) == len(response.logprobs)
        assert model.text_of(response.token_ids) == response.text


def test_one_engine_runs_at_a_time_and_leaves_when_asked(
    vllm: Any, language_model: LanguageModel, base_model: LanguageModel
) -> None:
    SAMPLER.sample(language_model, QUESTIONS[:1], 1, 0)
    SAMPLER.sample(base_model, QUESTIONS[:1], 1, 0)
    assert [start["model"] for start in vllm.started] == [m.source.locate() for m in (language_model, base_model)]
    assert len(vllm.running) == 1
    SAMPLER.close()
    assert vllm.running == []
    SAMPLER.sample(language_model, QUESTIONS[:1], 1, 0)
    assert len(vllm.started) == 3


def test_what_decides_whether_vllm_repeats_itself_is_in_the_key(
    vllm: Any, language_model: LanguageModel, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    firm = replace(SAMPLER, batch_invariant=True, multiprocessing=False)
    stored.sample(store, language_model, firm, QUESTIONS, 1, 0)
    assert [os.environ[name] for name in SETTINGS] == ["1", "0"]
    with pytest.raises(UserError, match="VLLM_BATCH_INVARIANT=1 is set, but sampling says 0: unset it"):
        stored.sample(store, language_model, SAMPLER, QUESTIONS, 1, 0)
    for name in SETTINGS:
        del os.environ[name]
    stored.sample(store, language_model, SAMPLER, QUESTIONS, 1, 0)
    assert store.tally.computed == ["responses"] * 2


def test_the_key_is_the_same_where_there_is_no_engine(
    vllm: Any, language_model: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sampled here, read there: on another device, in another precision, without vLLM."""
    store = Store(tmp_path)
    made = stored.sample(store, language_model, SAMPLER, QUESTIONS, 3, 0).value
    monkeypatch.setitem(sys.modules, "vllm", None)
    spec = replace(language_model.spec, device="cuda", dtype="bfloat16", attention="eager")
    there = LanguageModel(language_model.source, spec, completion=False)
    small = replace(SAMPLER, gpu_memory_utilization=0.5, max_model_len=None)
    assert stored.sample(store, there, small, QUESTIONS, 3, 0).value == made
    prompted = replace(spec, prompting=replace(spec.prompting, suffix=" Briefly."))
    SAMPLER.close()
    with pytest.raises(UserError, match=r"pip install 'hneuro\[vllm\]', or sample in an environment .*until=responses"):
        stored.sample(store, LanguageModel(there.source, prompted, completion=False), SAMPLER, QUESTIONS, 3, 0)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"tensor_parallel_size": 4}, r"vLLM cannot start .*World size \(4\) is larger than .* in this node. If this"),
        ({"pipeline_parallel_size": 2}, r"vLLM cannot start .*World size \(2\) is larger"),
        ({"max_model_len": 9}, r"vLLM cannot answer as .*prompt \(length \d+\) is longer than the maximum .* 9. Make"),
        ({"version": "0.1.2"}, r"sampling.version is 0.1.2, but vLLM None is installed"),
    ],
)
def test_what_vllm_refuses_becomes_one_line(
    vllm: Any, language_model: LanguageModel, wrong: dict[str, Any], says: str
) -> None:
    with pytest.raises(UserError, match=says) as fault:
        replace(SAMPLER, **wrong).sample(language_model, QUESTIONS, 1, 0)
    assert "\n" not in str(fault.value)


def test_on_a_cpu_no_request_has_a_seed(
    vllm: Any, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would kill the engine. What is drawn otherwise has another key; that of seeded draws stays as it was."""
    monkeypatch.setattr(importlib.import_module("vllm.platforms").current_platform, "is_cpu", lambda: True)
    with pytest.raises(UserError, match=r"on a CPU dies of a request with a seed: choose sampling.seeded=false"):
        SAMPLER.sample(language_model, QUESTIONS, 1, 0)
    asked: list[Any] = []
    generate = vllm.LLM.generate
    monkeypatch.setattr(vllm.LLM, "generate", lambda *a, **k: asked.extend(a[2]) or generate(*a, **k))
    plain = replace(SAMPLER, seeded=False)
    plain.sample(language_model, QUESTIONS, 2, 0)
    plain.close()  # the next round begins with a new engine, which must not draw the same again
    plain.sample(language_model, QUESTIONS, 3, 0, first=2)
    assert [params.seed for params in asked] == [None] * 6
    assert len({start["seed"] for start in vllm.started}) == 2
    assert SAMPLER.reads(language_model) == language_model.asked != plain.reads(language_model)


@pytest.mark.parametrize("starting", [True, False])
def test_the_death_of_the_engine_is_one_line_with_its_log(
    vllm: Any,
    language_model: LanguageModel,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    starting: bool,
) -> None:
    """Its processes write where their parent's output went when they were started."""

    class EngineDeadError(Exception):
        __module__ = "vllm.v1.engine.exceptions"

    def dies(*_: Any, **__: Any) -> None:
        subprocess.run([sys.executable, "-c", "print('Traceback, ' * 200)"], check=True)
        raise RuntimeError("Engine core initialization failed.") if starting else EngineDeadError("EngineCore died.")

    monkeypatch.setattr(vllm.LLM, "__init__" if starting else "generate", dies)
    what = r"cannot start .*initialization failed" if starting else r"cannot answer as .*EngineCore died"
    with pytest.raises(UserError, match=rf"vLLM {what}\. \(its log: .*\.log\)") as fault:
        SAMPLER.sample(language_model, QUESTIONS, 1, 0)
    log = Path(str(fault.value).partition("its log: ")[2].rstrip(")"))
    assert log.is_file()
    if starting:
        assert "Traceback" in log.read_text()
        assert "Traceback" not in "".join(capfd.readouterr())


def test_log_probabilities_that_are_no_numbers_lose_the_response(
    vllm: Any, language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that overflows in half precision says something, and all of it is noise."""
    monkeypatch.setattr(vllm, "Logprob", lambda _: SimpleNamespace(logprob=float("nan")))
    made = SAMPLER.sample(language_model, QUESTIONS, 1, 0)
    assert {r.lost for r in made} == {"the model's probabilities are no numbers"}
    assert all(r.logprobs == () for r in made)


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 0}, {"tensor_parallel_size": 0}, {"gpu_memory_utilization": 1.5}, {"max_model_len": 1}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    assert isinstance(SAMPLER, EngineSampler), "an engine comes before the weights"
    assert not isinstance(TransformersSampler(), EngineSampler)
    with pytest.raises(ValueError, match="at least"):
        VllmSampler(**wrong)


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_the_real_vllm_takes_what_it_is_given(language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its signatures everywhere; samples where it finds a device."""
    import vllm
    from vllm.engine.arg_utils import EngineArgs

    params = sampling_params(language_model, SAMPLER.decoding, 5, count=3, logprobs=0)
    assert (params.n, params.seed, params.logprobs, params.max_tokens) == (3, 5, 0, 8)
    known = {*inspect.signature(vllm.LLM).parameters, *inspect.signature(EngineArgs).parameters}
    folder = ENGINES / "vllm"
    stand_in = importlib.util.spec_from_file_location(
        "stand_in", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert stand_in is not None
    module = importlib.util.module_from_spec(stand_in)
    monkeypatch.setitem(sys.modules, "stand_in", module)
    assert stand_in.loader is not None
    stand_in.loader.exec_module(module)
    assert {*inspect.signature(module.LLM).parameters, *module.ENGINE_ARGS} - {"kwargs"} <= known
    fields = {*inspect.signature(vllm.SamplingParams).parameters}
    assert {*inspect.signature(module.SamplingParams).parameters} <= fields
    if torch.cuda.is_available():
        try:
            made = replace(SAMPLER, gpu_memory_utilization=0.2).sample(language_model, QUESTIONS, 3, 0)
        finally:
            SAMPLER.close()
        assert all(language_model.text_of(r.token_ids) == r.text and r.logprobs for r in made)
