"""One token for every row."""

from __future__ import annotations

import pytest
import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from hneuro.responses.decoding import Decoding
from hneuro.responses.draw import draw
from hneuro.responses.noise import gumbel, gumbel_at

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
