"""An edited model in the real llama.cpp: `scripts/test_engines` installs it. Without it nothing here runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import hneuro
from hneuro.models.gguf import GgufSource
from hneuro.models.gguf_rewrite import edit_gguf, gguf_space
from hneuro.models.language_model import LanguageModel
from hneuro.models.patch import Patch
from hneuro.models.rewrite import edit_checkpoint
from hneuro.models.sources import HubCheckpoint
from hneuro.questions.world import WorldQuestions
from hneuro.records import Question
from hneuro.responses.decoding import Decoding
from hneuro.responses.sampler import TransformersSampler

pytestmark = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")
TOKENS = 16


def said_by_llama(file: Path, prompts: list[tuple[int, ...]]) -> list[str]:
    from llama_cpp import Llama

    model = Llama(str(file), n_ctx=256, verbose=False)
    asked = [model.create_completion(list(prompt), temperature=0.0, max_tokens=TOKENS) for prompt in prompts]
    model.close()
    return [answer["choices"][0]["text"] for answer in asked]


def said_by_transformers(model: LanguageModel, questions: list[Question]) -> list[str]:
    greedy = TransformersSampler(samples=1, decoding=Decoding(temperature=0.0, max_new_tokens=TOKENS))
    return [response.text for response in greedy.sample(model, questions, 1, 0)]


def test_the_file_answers_as_the_folder_does_up_to_quantisation(tmp_path: Path) -> None:
    """llama.cpp rounds activations to eight bits, so that not all answers are alike untouched either."""
    original = hneuro.load("smollm2_135m").language_model
    source, questions = original.source, list(WorldQuestions(domain="cities").load().questions[:100])
    assert isinstance(source, GgufSource)
    space, draw = gguf_space(source), np.random.default_rng(0)
    neurons = tuple(sorted(map(int, draw.choice(space.size, size=2000, replace=False))))
    gains = tuple(map(float, draw.uniform(0, 2, size=len(neurons))))
    patch = Patch(neurons=neurons, alpha=1.0, gains=gains, space=space, weights=source.identity())
    edit_gguf(source, tmp_path / "edited.gguf", patch)
    edit_checkpoint(source, tmp_path / "edited", patch)
    edited = LanguageModel(HubCheckpoint(path=str(tmp_path / "edited")), original.spec, completion=False)
    prompts = [original.prompt_ids(question.text) for question in questions]
    assert prompts == [edited.prompt_ids(question.text) for question in questions]

    untouched = said_by_transformers(original, questions), said_by_llama(source.file(), prompts)
    scaled = said_by_transformers(edited, questions), said_by_llama(tmp_path / "edited.gguf", prompts)
    alike = [sum(a == b for a, b in zip(*both, strict=True)) for both in (untouched, scaled)]
    moved = [sum(a != b for a, b in zip(*both, strict=True)) for both in zip(untouched, scaled, strict=True)]
    print(f"of {len(prompts)} answers, alike untouched and edited: {alike}; moved, transformers and llama.cpp: {moved}")
    assert alike[1] >= alike[0] - 10
    assert min(moved) >= 50
