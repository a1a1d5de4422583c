"""Letters of a left-padded batch are those of each prompt, on every supported layout."""

from __future__ import annotations

from typing import Any

import torch

from hneuro.models.ffn import find_ffn
from hneuro.models.load import Loaded
from hneuro.responses.letters import letter_logits

PROMPTS = ((1, 9, 30, 12), (1, 40, 7, 7, 21, 33, 8, 19, 4), (1, 5))
LETTERS = (20, 23, 21)


def test_letters_behind_a_padded_prompt_are_those_behind_the_prompt(dense: Any) -> None:
    """Trap 19. Absolute positions, biases by distance and sliding windows included."""
    together = letter_logits(Loaded(dense, find_ffn(dense)), 0, PROMPTS, LETTERS)
    for row, prompt in zip(together, PROMPTS, strict=True):
        alone = dense(input_ids=torch.tensor([prompt])).logits[0, -1, list(LETTERS)]
        torch.testing.assert_close(row, alone, rtol=1e-4, atol=1e-5)
