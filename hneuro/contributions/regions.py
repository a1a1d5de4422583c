"""Which positions of prompt + response are pooled together, as one small weight matrix per response."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hneuro.records import AnswerSpan, Response

Region = Literal["answer", "other", "last_prompt"]


@dataclass(frozen=True, kw_only=True)
class ContributionSettings:
    """What is measured of each response.

    `regions`: "answer", everything "other", the "last_prompt" token. `position`: "token" reads
    the answer tokens themselves (paper); "predicting" reads one position to the left, where they are predicted.
    `special_tokens`: whether BOS, turn marks and EOS count in "other"; the published code
    counts them. `token_budget`: large by default, because a batch is as exact as a single sample. In bfloat16
    the two differ by 0.4 % of an entry in the median (random Llama of 16 layers), and each by 0.6 % from the same
    weights in float32; in float32 by 2e-7. Results that are compared should share one budget. `features`: contributions
    too large for memory are kept a second time, neuron by neuron; float16, in a unit of its own for each neuron, halves
    that file and keeps 11 bits.
    """

    regions: tuple[Region, ...] = ("answer", "other")
    position: Literal["token", "predicting"] = "token"
    special_tokens: bool = False
    token_budget: int = 16384  # padded tokens of one batch
    features: Literal["float32", "float16"] = "float32"  # how the probe's copy of a large set is kept

    def __post_init__(self) -> None:
        if "answer" not in self.regions or len(set(self.regions)) != len(self.regions) or self.token_budget < 1:
            raise ValueError("regions must be distinct and include 'answer', and token_budget must be positive")


def places(tokens: Iterable[int], prompt: int, position: str) -> list[int]:
    """Where CETT is read for these tokens of a response, counted from the start of a prompt of so many tokens.

    At "token" a token is read at its own position, at any other position where it is predicted: one place before it.
    """
    shift = 0 if position == "token" else 1
    return [prompt + n - shift for n in tokens]


def region_positions(
    response: Response, span: AnswerSpan, settings: ContributionSettings, special_ids: frozenset[int]
) -> list[list[int]]:
    """The positions of each region of the settings, in prompt + response."""
    ids = (*response.prompt_ids, *response.token_ids)
    begin = len(response.prompt_ids)
    answer = places(span.tokens, begin, settings.position)
    usual = [n for n in range(len(ids)) if settings.special_tokens or ids[n] not in special_ids]
    taken = set(answer)
    positions: dict[Region, list[int]] = {
        "answer": answer,
        "other": [n for n in usual if n not in taken],
        "last_prompt": [begin - 1],
    }
    return [positions[name] for name in settings.regions]


def reading_weights(prompt: int, length: int, stated: Sequence[int], position: str) -> NDArray[np.float32]:
    """[token + 1, place]: where a detector reads each token of a response alone, and last its answer, at `stated`."""
    each = [[place] for place in places(range(length), prompt, position)]
    return averages([*each, stated], prompt + length)


def averages(groups: Sequence[Sequence[int]], length: int) -> NDArray[np.float32]:
    """[group, token]: row g averages over the positions in groups[g]; an empty group is a row of zeros."""
    weights = np.zeros((len(groups), length), dtype=np.float32)
    for row, positions in enumerate(groups):
        if positions:
            weights[row, list(positions)] = 1.0 / len(positions)
    return weights
