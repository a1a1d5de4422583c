"""Selection by effect: the neurons that do, whether or not they tell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hneuro.neurons import Probe, ProbeRows


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The neurons whose gain moves the log-odds of the planted against the right answer most, to first order.

    Not the paper's selection: no answer of the model is read for it. `benchmark` and `framing` are those of the
    benchmark "known" whose prompts press the planted value on the model, about at most `items` known facts of the fit
    part. A neuron weighs what its effect is (`hneuro.causal.attribution`); those of positive weight raise the odds of
    the wrong answer. `counts`: so many of the largest of either sign make the sets of the path.
    """

    counts: tuple[int, ...] = (10, 20, 40, 80, 160)
    benchmark: str = "doubt"
    framing: str = "suggest"
    items: int = 100
    token_budget: int = 4096
    name: str = "attribution"

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 1:
            raise ValueError("counts needs at least one value, all above 0")
        if self.items < 2 or self.token_budget < 1:
            raise ValueError("items must be at least 2, and token_budget at least 1")

    @property
    def strengths(self) -> tuple[float, ...]:
        return self.counts

    def path(self, rows: ProbeRows, seed: int) -> tuple[Probe, ...]:
        """`rows` are effects, one row a prompt; their labels are not read."""
        effect = np.concatenate([block.mean(0, dtype=np.float64) for _, block in rows.blocks()])
        order = np.argsort(-effect, kind="stable")
        probes = []
        for count in sorted(self.counts):
            weight = np.zeros_like(effect)
            up, down = order[:count], order[::-1][:count]
            weight[up] = np.maximum(effect[up], 0.0)
            weight[down] += np.minimum(effect[down], 0.0)
            probes.append(Probe(weight=weight, bias=0.0, strength=float(count), space=rows.space))
        return tuple(probes)
