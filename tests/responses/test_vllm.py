"""What our side of vLLM makes of requests and outputs; the engine itself is tested in tests/engines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hneuro.models.language_model import LanguageModel
from hneuro.records import Question, UserError
from hneuro.responses import vllm
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import EngineSampler, TransformersSampler
from hneuro.responses.vllm import VllmSampler, environment

SAMPLER = VllmSampler(samples=3, decoding=Decoding(max_new_tokens=8), dtype="float32")
QUESTIONS = [Question(id=f"q{n}", dataset="d", text=f"{n}?", answers=("x",), entity=str(n)) for n in range(2)]


def said(index: int, ids: Sequence[int], logprob: float = -1.0) -> Any:
    logprobs = [{token: SimpleNamespace(logprob=logprob)} for token in ids]
    return SimpleNamespace(index=index, token_ids=ids, logprobs=logprobs, finish_reason="length")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The parameters of all requests; output n says 70 + n, and the last comes first."""
    params: list[Any] = []

    def generate(prompts: list[Any], wanted: list[Any], use_tqdm: bool) -> list[Any]:
        params.extend(wanted)
        return [SimpleNamespace(outputs=[said(n, [70 + n]) for n in range(one.n)][::-1]) for one in wanted]

    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=SimpleNamespace))
    monkeypatch.setattr(VllmSampler, "engine", lambda *_, **__: SimpleNamespace(generate=generate))
    return params


def test_outputs_come_back_by_their_number(asked: list[Any], language_model: LanguageModel) -> None:
    """In one request a question, whose seed counts on from round to round."""
    first = SAMPLER.sample(language_model, QUESTIONS, 2, 0)
    assert [(r.question_id, r.sample, *r.token_ids) for r in first] == [
        (f"q{q}", n, 70 + n) for q in range(2) for n in range(2)
    ]
    assert all((r.logprobs, r.entropies, r.truncated) == ((-1.0,), (), True) for r in first)
    rest = SAMPLER.sample(language_model, QUESTIONS, 3, 0, first=2)
    assert [r.sample for r in rest] == [2, 2]
    assert [one.n for one in asked] == [2, 2, 1, 1]
    assert [later.seed - one.seed for one, later in zip(asked[:2], asked[2:], strict=True)] == [2, 2]


def test_a_greedy_answer_is_asked_for_once(asked: list[Any], language_model: LanguageModel) -> None:
    greedy = replace(SAMPLER, decoding=Decoding(temperature=0.0, max_new_tokens=8), seeded=False)
    made = greedy.sample(language_model, QUESTIONS[:1], 3, 0)
    assert [(r.sample, *r.token_ids) for r in made] == [(n, 70) for n in range(3)]
    assert [(one.n, one.seed) for one in asked] == [(1, None)]


def test_draws_of_the_engine_s_own_have_another_key(language_model: LanguageModel) -> None:
    assert SAMPLER.reads(language_model) == language_model.asked
    assert replace(SAMPLER, seeded=False).reads(language_model) != language_model.asked


def test_log_probabilities_that_are_no_numbers_lose_the_response(
    asked: list[Any], language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that overflows in half precision says something, and all of it is noise."""
    monkeypatch.setattr(vllm, "_logprobs", lambda _, ids: (float("nan"),) * len(ids))
    (made,) = SAMPLER.sample(language_model, QUESTIONS[:1], 1, 0)
    assert (made.lost, made.logprobs) == ("the model's probabilities are no numbers", ())


def test_settings_of_the_environment_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(SAMPLER).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="VLLM_BATCH_INVARIANT=0 is set, but sampling says 1: unset it"):
        replace(SAMPLER, batch_invariant=True)._prepare()
    with pytest.raises(UserError, match=r"sampling.version is 0.1.2, but vLLM"):
        replace(SAMPLER, version="0.1.2")._prepare()


def test_an_engine_that_cannot_start_is_one_line_with_its_log(
    language_model: LanguageModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What its processes say goes to the log, and the first error in it is the reason."""

    def dies(**_: Any) -> None:
        print("INFO\nValueError: World size (4) is larger\nRuntimeError: see above", flush=True)
        raise RuntimeError("Engine core initialization failed.")

    for name, value in environment(SAMPLER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(vllm, "LOG", tmp_path / "vllm.log")
    platforms = SimpleNamespace(current_platform=SimpleNamespace(is_cpu=lambda: False))
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=dies, platforms=platforms))
    monkeypatch.setitem(sys.modules, "vllm.platforms", platforms)
    with pytest.raises(UserError, match=r"vLLM cannot start .*vllm\.log"):
        SAMPLER.sample(language_model, QUESTIONS, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"samples": 0}, {"tensor_parallel_size": 0}, {"gpu_memory_utilization": 1.5}, {"max_model_len": 1}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least"):
        VllmSampler(**wrong)


def test_an_engine_comes_before_the_weights() -> None:
    assert isinstance(SAMPLER, EngineSampler)
    assert not isinstance(TransformersSampler(), EngineSampler)
