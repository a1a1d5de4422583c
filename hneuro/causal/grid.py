"""What a sweep is asked for: alphas, neuron sets and their controls. Known without loading anything."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The grid (paper, section 3.1) and its controls: `control_seeds` sets of each kind for every neuron set.

    `ranked`: beside the selected neurons, sweep that many of the best by univariate ranking; 0 leaves it out.
    """

    alphas: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    controls: tuple[str, ...] = ("random", "layer_matched")
    control_seeds: int = 5
    ranked: int = 0
    items: int | None = None  # prompts of each benchmark; all if null
    known_questions: int = 200  # on which the cost in accuracy is measured
    token_budget: int = 16384
    items_per_shard: int = 16

    def __post_init__(self) -> None:
        if len(set(self.alphas)) < 2 or not all(0 <= a < float("inf") for a in self.alphas):
            raise ValueError("alphas needs at least two different finite values, none below 0")
        if not set(self.controls) <= {"random", "layer_matched"} or self.control_seeds < 1:
            raise ValueError("controls are 'random' and 'layer_matched', control_seeds at least 1")
        if (self.items is not None and self.items < 1) or self.known_questions < 1:
            raise ValueError("items and known_questions must be at least 1; items may be null, for all")


@dataclass(frozen=True, kw_only=True)
class NeuronSet:
    """A set of neurons that is scaled: "h_neurons", or a control such as "h_neurons/random" under its seed."""

    name: str
    seed: int
    neurons: tuple[int, ...]
