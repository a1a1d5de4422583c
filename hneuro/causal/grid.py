"""What a sweep is asked for: alphas, neuron sets, their controls and variants. Known without loading anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from hneuro.models.edits import Kind, Scope, Treatment
from hneuro.probe.controls import ControlKind
from hneuro.records import ASIDE, BenchmarkItem

UNTOUCHED = "untouched"  # the neuron set of alpha = 1, which is the same for all

Variant = Literal["risky", "mean"]
LARGEST = 1000.0  # an alpha beyond it overflows in half precision, and says nothing of a neuron's effect


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The grid (paper, section 3.1) and its controls: `control_seeds` sets of each kind for every neuron set.

    `swept`: whether anything is scaled at all; without it a run ends with what the neurons detect and where they come
    from.
    `control_alphas`: "ends" sweeps controls at the smallest and the largest alpha alone, which is what their slopes and
    changes are compared at; "all" at every alpha. `ranked`: beside the selected neurons, sweep that many of the best by
    univariate ranking; 0 leaves it out. `negative`: also the neurons of negative weight. `variants` are other ways to
    suppress: "risky" scales by the alphas below 1 where an answer is predicted, only while the running risk there is
    above the detector's threshold; "mean" sets the neurons to their mean over faithful answers.

    `engine`: with "vllm" the edit is made in the weights of the engine that `sampling` describes. Nothing but scaling
    at every position can be made there, and no probability of complying is read.
    """

    swept: bool = True
    alphas: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    controls: tuple[ControlKind, ...] = ("random", "layer_matched", "contribution_matched", "norm_matched")
    control_seeds: int = 5
    control_alphas: Literal["ends", "all"] = "ends"
    ranked: int = 0
    negative: bool = False
    variants: tuple[Variant, ...] = ()
    items: int | None = None  # prompts of each benchmark; all if null
    known_questions: int = 200  # on which the cost in accuracy is measured
    token_budget: int = 16384
    rows_per_shard: int = field(default=512, metadata=ASIDE)  # answers that a kill can cost
    engine: Literal["transformers", "vllm"] = "transformers"

    def __post_init__(self) -> None:
        if len(set(self.alphas)) < 2 or not all(0 <= a <= LARGEST for a in self.alphas):
            raise ValueError(f"alphas needs at least two different values, none below 0 or above {LARGEST:g}")
        if self.control_seeds < 1:
            raise ValueError("control_seeds must be at least 1")
        if (self.items is not None and self.items < 1) or self.known_questions < 1 or self.rows_per_shard < 1:
            raise ValueError("items, known_questions and rows_per_shard must be at least 1; items may be null, for all")
        if self.variants and (1.0 not in self.alphas or min(self.alphas) >= 1):
            raise ValueError("variants need alpha 1, and an alpha below 1 to compare with")
        if self.variants and self.engine == "vllm":
            raise ValueError(
                f"variants {list(self.variants)} cannot be made in weights, which engine=vllm edits: "
                "choose engine=transformers, or variants=[]"
            )

    @property
    def facts(self) -> int | None:
        """How many known facts are asked about, at most; None: all there are."""
        return None if self.items is None else max(self.items, self.known_questions)

    @property
    def control_grid(self) -> tuple[float, ...]:
        """The alphas of the controls; 1 is untouched anyway."""
        ordered = tuple(sorted(set(self.alphas)))
        return ordered if self.control_alphas == "all" else (ordered[0], *({1.0} & set(ordered[1:-1])), ordered[-1])

    @property
    def suppressing(self) -> tuple[float, ...]:
        """The alphas up to 1, for the variants."""
        return tuple(sorted(alpha for alpha in set(self.alphas) if alpha <= 1))


@dataclass(frozen=True, kw_only=True)
class NeuronSet:
    """A set of neurons and what is done to it: "h_neurons", a control "h_neurons/random" under its seed, a variant."""

    name: str
    seed: int
    neurons: tuple[int, ...]
    alphas: tuple[float, ...]
    kind: Kind = "scale"
    scope: Scope = "all"
    values: tuple[float, ...] = ()

    def at(self, alpha: float) -> Treatment:
        return Treatment(neurons=self.neurons, alpha=alpha, kind=self.kind, scope=self.scope, values=self.values)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One column of the grid. All sets share the one at alpha = 1."""

    neuron_set: str
    seed: int
    alpha: float
    treatment: Treatment


def cells(sets: Sequence[NeuronSet]) -> tuple[Cell, ...]:
    """The untouched model once, where any set asks for it, then every set at its other alphas, ascending."""
    found = [
        Cell(neuron_set=one.name, seed=one.seed, alpha=alpha, treatment=one.at(alpha))
        for one in sets
        for alpha in sorted(set(one.alphas))
        if alpha != 1.0
    ]
    if any(1.0 in one.alphas for one in sets):
        found.insert(0, Cell(neuron_set=UNTOUCHED, seed=0, alpha=1.0, treatment=Treatment()))
    return tuple(found)


def chosen_items(items: Sequence[BenchmarkItem], count: int | None) -> tuple[BenchmarkItem, ...]:
    """A random part of the prompts, always the same, in their order: files are often sorted by topic."""
    if count is None or len(items) <= count:
        return tuple(items)
    return tuple(items[n] for n in sorted(Random(0).sample(range(len(items)), count)))


def columns_of(grid: SweepSettings) -> dict[str, int]:
    """Answers to each prompt of a benchmark, by what is done to the model: the sets of `swept_sets`, without neurons.

    At most so many: a probe may have no neurons of negative weight.
    """

    def one(name: str, seed: int, alphas: Sequence[float]) -> NeuronSet:
        return NeuronSet(name=name, seed=seed, neurons=(), alphas=tuple(alphas))

    names = ["h_neurons", *(["ranked"] if grid.ranked else [])]
    sets = {
        "of neuron sets": [one(name, 0, grid.alphas) for name in names],
        "of controls": [
            one(f"{name}/{kind}", draw, grid.control_grid)
            for name in names
            for kind in grid.controls
            for draw in range(grid.control_seeds)
        ],
        "of negative neurons": [one("negative", 0, grid.alphas)] if grid.negative else [],
        "of variants": [
            one(f"{name}@{variant}", 0, grid.suppressing if variant == "risky" else (0.0, 1.0))
            for name in names
            for variant in grid.variants
        ],
    }
    changed = {part: sum(cell.alpha != 1.0 for cell in cells(found)) for part, found in sets.items()}
    untouched = sum(cell.alpha == 1.0 for cell in cells([one for found in sets.values() for one in found]))
    return {"untouched": untouched, **changed}


def answers_to_a_prompt(grid: SweepSettings) -> int:
    return sum(columns_of(grid).values())
