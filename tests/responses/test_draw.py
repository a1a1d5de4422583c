"""One token for every row, and the counter-based noise behind it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import gumbel_r, kstest, spearmanr
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from hneuro.responses.decoding import Decoding
from hneuro.responses.draw import draw, gumbel, gumbel_at

SEEDS = torch.arange(200) * 7919


def drawn_over_all(logits: torch.Tensor, step: int, decoding: Decoding) -> torch.Tensor:
    """The same draw, with the library's warpers and noise for the whole vocabulary."""
    scores = TemperatureLogitsWarper(decoding.temperature)(None, logits)
    scores = TopKLogitsWarper(decoding.top_k)(None, scores) if decoding.top_k else scores
    scores = TopPLogitsWarper(decoding.top_p)(None, scores) if decoding.top_p < 1 else scores
    return (scores + gumbel(SEEDS, step, logits.shape[-1])).argmax(dim=-1)


@pytest.mark.parametrize("coarse", [False, True], ids=["all different", "many equal"])
@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(),
        Decoding(top_k=0, top_p=1),
        Decoding(temperature=0.7, top_k=5, top_p=0.8),
        Decoding(temperature=3.0, top_k=400),
    ],
    ids=str,
)
def test_drawing_among_the_candidates_is_drawing_among_all(decoding: Decoding, coarse: bool) -> None:
    """Half precision makes many logits equal: all that equal the last of the top_k stay, as in the library."""
    logits = torch.randn(len(SEEDS), 300, generator=torch.Generator().manual_seed(0)) * 3
    if coarse and decoding.top_p == 1:  # top_p may cut between equals as it likes
        logits = logits.round()
    for step in (0, 5):
        made = draw(logits, SEEDS, step, decoding)
        assert torch.equal(made.tokens, drawn_over_all(logits, step, decoding))
        plain = torch.log_softmax(logits, dim=-1)
        assert torch.equal(made.logprobs, plain.gather(1, made.tokens[:, None])[:, 0])


def test_noise_at_some_columns_is_the_noise_of_all() -> None:
    columns = torch.randint(0, 5000, (len(SEEDS), 20), generator=torch.Generator().manual_seed(0))
    assert torch.equal(gumbel_at(SEEDS, 3, columns), gumbel(SEEDS, 3, 5000).gather(1, columns))


def test_greedy_takes_the_best() -> None:
    logits = torch.randn(len(SEEDS), 300, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(logits, SEEDS, 0, Decoding(temperature=0)).tokens, logits.argmax(-1))


ENDS = torch.tensor([0, 1, -(2**63), 2**63 - 1, 123456789])


def splitmix64(state: int) -> int:
    """The finaliser with Python's unbounded integers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def test_is_splitmix64_of_seed_step_and_column() -> None:
    """Exact integers, so that every device draws alike."""
    for step in (0, 3, 1000):
        noise = gumbel(ENDS, step, 3)
        for row, seed in enumerate(ENDS.tolist()):
            start = splitmix64((seed + step * 0x632BE59BD9B4E019) % 2**64)
            for column in range(3):
                bits = splitmix64((start + column * 0x9E3779B97F4A7C15) % 2**64) >> 41
                expected = -np.log(-np.log((bits + 0.5) / 2**23))
                np.testing.assert_allclose(noise[row, column].item(), expected, rtol=1e-4, atol=1e-5)


def test_is_standard_gumbel() -> None:
    for step in (0, 1, 49):
        noise = gumbel(torch.arange(20), step, 2000).flatten().numpy()
        assert kstest(noise, gumbel_r.cdf).pvalue > 1e-3


def test_is_finite_at_the_ends_of_its_range() -> None:
    """Infinite noise would draw a token that top_k has excluded: minus infinity plus infinity wins every argmax."""
    ends = torch.tensor([0, 47289454])  # all bits of their first draw are 0, and 1
    assert gumbel(ends, 0, 1).flatten().tolist() == pytest.approx([-2.812, 16.636], abs=1e-3)


def test_rows_steps_and_columns_are_not_related() -> None:
    noise = torch.stack([gumbel(torch.arange(40), step, 200) for step in range(10)]).numpy()  # [step, row, column]
    assert len(np.unique(noise)) > 0.99 * noise.size
    for one, other in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1]), (noise[..., 1:], noise[..., :-1])):
        assert abs(spearmanr(one.flatten(), other.flatten()).statistic) < 0.015
