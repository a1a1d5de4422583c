"""What a sweep is asked for: alphas, neuron sets, their controls and variants. Known without loading anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from hneuro.models.edits import LARGEST, Kind, Treatment
from hneuro.probe.controls import ControlKind
from hneuro.records import ASIDE, BenchmarkItem

UNTOUCHED = "untouched"  # the neuron set of alpha = 1, which is the same for all

Variant = Literal["mean"]


@dataclass(frozen=True, kw_only=True)
class SweepSettings:
    """The grid (paper, section 3.1) and its controls: `control_seeds` sets of each kind for every neuron set.

    `swept`: whether anything is scaled at all; without it a run ends with what the neurons detect and where they come
    from.
    `control_alphas`: "ends" sweeps controls at the smallest and the largest alpha alone, which is what their slopes and
    changes are compared at; "all" at every alpha. `ranked`: also sweep that many of the best by univariate
    ranking; 0 leaves it out. `negative`: also the neurons of negative weight. `variants` are other ways to
    suppress: "mean" sets the neurons to their mean over faithful answers.

    `engine`: with "vllm" the engine that `sampling` describes answers, uncompiled. Its workers scale at every position
    and do nothing else, and no probability of complying is read.
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
        if not 1 <= self.control_seeds <= 10_000:
            raise ValueError("control_seeds must be between 1 and 10,000")
        counts = (self.known_questions, self.token_budget, self.rows_per_shard, self.items)
        if any(count is not None and count < 1 for count in counts):
            raise ValueError(
                "items, known_questions, token_budget and rows_per_shard must be at least 1; items may be null, for all"
            )
        if self.variants and (1.0 not in self.alphas or min(self.alphas) >= 1):
            raise ValueError("variants need alpha 1, and an alpha below 1 to compare with")
        if self.variants and self.engine == "vllm":
            raise ValueError(
                f"engine=vllm has no variants {list(self.variants)}: choose engine=transformers, or variants=[]"
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


@dataclass(frozen=True, kw_only=True)
class NeuronSet:
    """A set of neurons and what is done to it: "h_neurons", a control "h_neurons/random" under its seed, a variant."""

    name: str
    seed: int
    neurons: tuple[int, ...]
    alphas: tuple[float, ...]
    kind: Kind = "scale"
    values: tuple[float, ...] = ()

    def at(self, alpha: float) -> Treatment:
        return Treatment(neurons=self.neurons, alpha=alpha, kind=self.kind, values=self.values)


@dataclass(frozen=True, kw_only=True)
class Steering:
    """A vector [hidden] that is added to the residual stream after a layer, at every position."""

    layer: int
    vector: tuple[float, ...]


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


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A set of the grid whose neurons are not known yet: those of `of`, controls of them, or a variant."""

    of: str  # "h_neurons", "ranked", "negative"
    alphas: tuple[float, ...]
    control: ControlKind | None = None
    variant: Variant | None = None
    seed: int = 0

    @property
    def part(self) -> str:
        """What it counts as, in a dry run."""
        kind = "controls" if self.control else "variants" if self.variant else "neuron sets"
        return "of negative neurons" if self.of == "negative" else f"of {kind}"

    def filled(self, neurons: tuple[int, ...], values: tuple[float, ...] = ()) -> NeuronSet:
        """`values`: of a variant that sets z to something, where alpha = 0 says that it is."""
        name = self.of + (f"/{self.control}" if self.control else f"@{self.variant}" if self.variant else "")
        whole = NeuronSet(name=name, seed=self.seed, neurons=neurons, alphas=self.alphas)
        return whole if self.variant is None else replace(whole, kind=self.variant, values=values)


def slots(grid: SweepSettings) -> Iterator[Slot]:
    """The sets that a sweep asks for: each set of neurons, its variants, and as many others in their place."""
    for name in ("h_neurons", *(["ranked"] if grid.ranked else [])):
        yield Slot(of=name, alphas=grid.alphas)
        for variant in grid.variants:
            yield Slot(of=name, variant=variant, alphas=(0.0, 1.0))
        for kind in grid.controls:
            for draw in range(grid.control_seeds):
                yield Slot(of=name, control=kind, seed=draw, alphas=grid.control_grid)
    if grid.negative:
        yield Slot(of="negative", alphas=grid.alphas)


def columns_of(grid: SweepSettings) -> dict[str, int]:
    """Answers to each prompt of a benchmark, by what is done to the model.

    At most so many: a probe may have no neurons of negative weight, and a control set that comes back is swept once.
    """
    found = {"untouched": 0, "of neuron sets": 0, "of controls": 0, "of negative neurons": 0, "of variants": 0}
    for slot in slots(grid):
        found[slot.part] += len({*slot.alphas} - {1.0})
        found["untouched"] |= 1.0 in slot.alphas
    return found


def answers_to_a_prompt(grid: SweepSettings) -> int:
    return sum(columns_of(grid).values())
