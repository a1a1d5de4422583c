"""Measuring and generating on every supported layout: a row alone is the row in a batch, padded on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import GenerationConfig

from hneuro.contributions.cett import EPSILON
from hneuro.contributions.extract import extract
from hneuro.models.edits import scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.responses import rows
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate
from hneuro.responses.letters import letter_logits

PROMPTS = ((1, 9, 30, 12), (1, 40, 7, 7, 21, 33, 8, 19, 4), (1, 5))
PAD = 0


def formula(loaded: Loaded, ids: tuple[int, ...]) -> np.ndarray:
    """Mean CETT of one sequence, [neuron], by the whole model and in float64."""
    parts: list[torch.Tensor] = []

    def read(layer: int, z: torch.Tensor, h: torch.Tensor) -> None:
        columns = loaded.ffn.layers[layer].down_rows().double().norm(dim=1)
        shares = z[0].double().abs() * columns / (h[0].double().norm(dim=-1, keepdim=True) + EPSILON)
        parts.append(shares.mean(dim=0))

    with torch.inference_mode(), observe(loaded.ffn, 1, read):
        loaded.model(input_ids=torch.tensor([ids]), use_cache=False)
    return torch.cat(parts).numpy()


def test_contributions_of_a_padded_batch_are_those_of_each_sequence(dense: Any) -> None:
    """Biases, fused projections, flattened rows and sliding windows included."""
    loaded = Loaded(dense, find_ffn(dense))
    weights = [np.full((1, len(ids)), 1 / len(ids), dtype=np.float32) for ids in PROMPTS]
    found = extract(loaded, PROMPTS, weights, token_budget=1000)
    for row, ids in zip(found, PROMPTS, strict=True):
        expected = formula(loaded, ids)
        np.testing.assert_allclose(row[0], expected, rtol=1e-4, atol=1e-5 * expected.mean())


def test_responses_of_a_left_padded_batch_are_those_of_each_prompt(dense: Any) -> None:
    """With untouched and scaled rows side by side, over several steps with a cache."""
    loaded = Loaded(dense, find_ffn(dense))
    dense.generation_config.eos_token_id = None
    alphas = (1.0, 3.0, 0.0)
    jobs = [
        Job(prompt, seed=f"{n}", treatment=scaled(tuple(range(35, 60)), alphas[n])) for n, prompt in enumerate(PROMPTS)
    ]
    for decoding in (Decoding(max_new_tokens=8), Decoding(temperature=0, max_new_tokens=8)):
        together = generate(loaded, PAD, jobs, decoding)
        alone = [generate(loaded, PAD, [job], decoding)[0] for job in jobs]
        assert [g.token_ids for g in together] == [g.token_ids for g in alone]
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)


def test_shared_beginnings_are_separate_ones_and_the_library_s(
    generating: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several rows of a prompt, read once or each for itself, alone or together; windows are shorter than the prompts.

    Greedily they say what `generate` of the library says, whose cache is filled by the same model on its own.
    """
    loaded = Loaded(generating, find_ffn(generating))
    ended = GenerationConfig(max_new_tokens=6, do_sample=False, eos_token_id=[2, 5, 11], pad_token_id=PAD)
    generating.generation_config = ended
    jobs = [Job(prompt, seed=f"{n}") for prompt in PROMPTS for n in range(2)]
    sampled, greedy = Decoding(max_new_tokens=6), Decoding(temperature=0, max_new_tokens=6)
    together = {d: generate(loaded, PAD, jobs, d) for d in (sampled, greedy)}
    alone = {d: [generate(loaded, PAD, [job], d)[0] for job in jobs] for d in together}
    monkeypatch.setattr(rows, "selectable", lambda cache: False)
    separate = {d: generate(loaded, PAD, jobs, d) for d in together}
    for decoding, made in together.items():
        for other in (alone[decoding], separate[decoding]):
            assert [g.token_ids for g in made] == [g.token_ids for g in other]
            for a, b in zip(made, other, strict=True):
                np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)
    for prompt, made in zip(PROMPTS, together[greedy][::2], strict=True):
        ids = torch.tensor([prompt])
        plain = generating.generate(ids, attention_mask=torch.ones_like(ids), generation_config=ended)
        assert list(made.token_ids) == plain[0, ids.shape[1] :].tolist()
    assert len({g.token_ids for g in together[sampled]}) > 3


def test_letters_behind_a_padded_prompt_are_those_behind_the_prompt(dense: Any) -> None:
    """Absolute positions, biases by distance and sliding windows included."""
    letters = [20, 23, 21]
    together = letter_logits(Loaded(dense, find_ffn(dense)), PAD, PROMPTS, letters)
    for row, prompt in zip(together, PROMPTS, strict=True):
        alone = dense(input_ids=torch.tensor([prompt])).logits[0, -1, letters]
        torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-5)
