"""Batched generation: what a row gives depends on nothing but the row."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chisquare

from hneuro.models.edits import edits, scaled
from hneuro.models.hooks import intervene
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import Loaded
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Generated, Job, batches, generate

PAD = 0
GREEDY = Decoding(temperature=0, max_new_tokens=12)
SAMPLED = Decoding(max_new_tokens=12)
PROMPTS = ((1, 3, 40, 41, 42, 2, 4), (1, 3, 99, 2, 4), (1, 3, *range(60, 90), 2, 4), (1, 70))


@pytest.fixture(scope="module")
def loaded(language_model: LanguageModel) -> Loaded:
    return language_model.loaded


def jobs(count: int = 8) -> list[Job]:
    """Rows of all sorts: four prompts, two sets of neurons, four alphas."""
    sets: tuple[tuple[int, ...], ...] = ((5, 70, 191), (0, 64, 128, 130))
    alphas = (1.0, 0.0, 3.0, 0.5)
    return [
        Job(prompt_ids=PROMPTS[n % 4], seed=f"row {n}", treatment=scaled(sets[n // 2 % 2], alphas[n % 3]))
        for n in range(count)
    ]


def reread(loaded: Loaded, job: Job, made: Generated) -> torch.Tensor:
    """Log-probabilities [generated token, vocabulary] of a teacher-forced pass over prompt and response."""
    ids = torch.tensor([[*job.prompt_ids, *made.token_ids]])
    amounts = edits(loaded.ffn.space, [job.treatment], "cpu", torch.float32)
    with torch.inference_mode(), intervene(loaded.ffn, amounts):
        logits = loaded.model(input_ids=ids, use_cache=False).logits[0, len(job.prompt_ids) - 1 : -1]
    return torch.log_softmax(logits, dim=-1)


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED, Decoding(temperature=2.0, top_k=0, top_p=1, max_new_tokens=12)])
def test_logprobs_and_entropies_are_of_the_model_itself(loaded: Loaded, decoding: Decoding) -> None:
    """At temperature 1 over the whole vocabulary, whatever the decoding, and under the row's own alpha."""
    for job, made in zip(jobs(), generate(loaded, PAD, jobs(), decoding), strict=True):
        expected = reread(loaded, job, made)
        chosen = expected[torch.arange(len(made.token_ids)), list(made.token_ids)]
        np.testing.assert_allclose(made.logprobs, chosen, atol=1e-4)
        np.testing.assert_allclose(made.entropies, -(expected.exp() * expected).sum(-1), atol=1e-4)


def test_rows_at_alpha_one_are_bit_equal_to_untouched_rows(loaded: Loaded) -> None:
    """In a batch whose other rows are scaled, too."""
    untouched = [Job(prompt, "seed") for prompt in PROMPTS]
    at_one = [replace(job, treatment=scaled((5, 70), 1.0)) for job in untouched]
    tripled = [replace(job, treatment=scaled((5, 70), 3.0)) for job in untouched]
    assert generate(loaded, PAD, at_one, SAMPLED) == generate(loaded, PAD, untouched, SAMPLED)
    pair = [*untouched, *tripled]
    assert generate(loaded, PAD, pair, SAMPLED)[:4] == generate(loaded, PAD, [*untouched, *untouched], SAMPLED)[:4]


def test_scaling_lasts_for_the_whole_response(loaded: Loaded) -> None:
    """Silencing all neurons of a layer equals the model with that layer's W_down at zero."""
    silenced = [Job(p, "s", treatment=scaled(range(64, 128), 0.0)) for p in PROMPTS]
    made = generate(loaded, PAD, silenced, GREEDY)
    weight = loaded.ffn.layers[1].weight
    kept = weight.clone()
    try:
        weight.zero_()
        edited = generate(loaded, PAD, [Job(p, "s") for p in PROMPTS], GREEDY)
    finally:
        weight.copy_(kept)
    assert [g.token_ids for g in made] == [g.token_ids for g in edited]
    assert [g.token_ids for g in made] != [
        g.token_ids for g in generate(loaded, PAD, [Job(p, "s") for p in PROMPTS], GREEDY)
    ]


def warped(logits: NDArray[np.float64], decoding: Decoding) -> NDArray[np.float64]:
    """Temperature, then the top_k largest, then the fewest of these that hold top_p: an own reading of the terms."""
    scores = logits / decoding.temperature
    order = np.argsort(-scores)
    order = order[: decoding.top_k] if decoding.top_k else order
    p = np.exp(scores[order] - scores[order].max())
    p /= p.sum()
    kept = order[: int(np.searchsorted(np.cumsum(p), decoding.top_p)) + 1]
    result = np.zeros(len(logits))
    result[kept] = np.exp(scores[kept] - scores[kept].max())
    return result / result.sum()


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(max_new_tokens=1),
        Decoding(temperature=1.5, top_k=7, top_p=1.0, max_new_tokens=1),
        Decoding(temperature=1.0, top_k=0, top_p=0.6, max_new_tokens=1),
    ],
)
def test_samples_follow_temperature_top_k_and_top_p(loaded: Loaded, decoding: Decoding) -> None:
    draws = 6000
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1].double().numpy()
    expected = warped(logits, decoding)
    made = generate(loaded, PAD, [Job(PROMPTS[0], f"draw {n}") for n in range(draws)], decoding)
    counts = np.bincount([g.token_ids[0] for g in made], minlength=len(expected))
    assert counts[expected == 0].sum() == 0
    often = expected * draws >= 5
    seen = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum()) * draws
    assert often.sum() >= 3
    assert chisquare(seen[wanted > 0], wanted[wanted > 0]).pvalue > 1e-3


def test_equal_seeds_draw_equally_and_other_seeds_otherwise(loaded: Loaded) -> None:
    made = generate(loaded, PAD, [Job(PROMPTS[0], seed) for seed in ("a", "a", "b", "c")], SAMPLED)
    assert made[0] == made[1]
    assert len({g.token_ids for g in made}) == 3


def test_steps_draw_independently(loaded: Loaded) -> None:
    """Equal noise at every step would repeat a token wherever the distribution hardly changes."""
    flat = Decoding(temperature=1000.0, top_k=0, top_p=1.0, max_new_tokens=40)
    made = generate(loaded, PAD, [Job(PROMPTS[0], f"{n}") for n in range(20)], flat)
    repeats = np.mean([a == b for g in made for a, b in pairwise(g.token_ids)])
    assert repeats < 0.02


def test_a_response_ends_with_the_first_end_token(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end token belongs to the response; what a batch adds behind it does not. Any of several ends will do."""
    free = generate(loaded, PAD, [Job(p, f"{n}") for n, p in enumerate(PROMPTS)], SAMPLED)
    ends = [free[0].token_ids[3], free[1].token_ids[5]]
    monkeypatch.setattr(loaded.model.generation_config, "eos_token_id", ends)
    made = generate(loaded, PAD, [Job(p, f"{n}") for n, p in enumerate(PROMPTS)], SAMPLED)
    for before, after in zip(free, made, strict=True):
        stop = next((n + 1 for n, token in enumerate(before.token_ids) if token in ends), len(before.token_ids))
        assert after.token_ids == before.token_ids[:stop]
        assert len(after.logprobs) == len(after.entropies) == stop
        assert after.truncated == (after.token_ids[-1] not in ends)
    assert not made[0].truncated
    assert len({len(g.token_ids) for g in made}) > 1


@pytest.mark.parametrize("budget", [1, 37, 10_000])
def test_batches_hold_everything_once_within_the_budget(budget: int) -> None:
    lengths = [9, 3, 12, 3, 7, 7, 1, 20]
    made = list(batches(lengths, budget))
    assert sorted(n for batch in made for n in batch) == list(range(8))
    for batch in made:
        longest = max(lengths[n] for n in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
    order = [lengths[n] for batch in made for n in batch]
    assert order == sorted(order)


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 1.1}])
def test_decoding_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="are needed"):
        Decoding(**wrong)
