"""Measuring and generating on every supported layout: a row alone is the row in a batch, padded on either side."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from hneuro.contributions.cett import EPSILON
from hneuro.contributions.extract import extract
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import observe
from hneuro.models.load import Loaded
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

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
    """Trap 19. Biases, fused projections, flattened rows and sliding windows included."""
    loaded = Loaded(dense, find_ffn(dense))
    weights = [np.full((1, len(ids)), 1 / len(ids), dtype=np.float32) for ids in PROMPTS]
    found = extract(loaded, PROMPTS, weights, token_budget=1000)
    for row, ids in zip(found, PROMPTS, strict=True):
        expected = formula(loaded, ids)
        np.testing.assert_allclose(row[0], expected, rtol=1e-4, atol=1e-5 * expected.mean())


def test_responses_of_a_left_padded_batch_are_those_of_each_prompt(dense: Any) -> None:
    """Trap 19. With untouched and scaled rows side by side, over several steps with a cache."""
    loaded = Loaded(dense, find_ffn(dense))
    dense.generation_config.eos_token_id = None
    alphas = (1.0, 3.0, 0.0)
    jobs = [Job(prompt, seed=f"{n}", neurons=tuple(range(35, 60)), alpha=alphas[n]) for n, prompt in enumerate(PROMPTS)]
    for decoding in (Decoding(max_new_tokens=8), Decoding(temperature=0, max_new_tokens=8)):
        together = generate(loaded, PAD, jobs, decoding)
        alone = [generate(loaded, PAD, [job], decoding)[0] for job in jobs]
        assert [g.token_ids for g in together] == [g.token_ids for g in alone]
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_allclose(a.logprobs, b.logprobs, atol=1e-3)
