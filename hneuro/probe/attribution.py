"""Selection by effect: the neurons that do, whether or not they tell; and where those lie that tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from hneuro.neurons import Probe, ProbeRows
from hneuro.probe.stability import overlap
from hneuro.result_records import Cell, TellsAndDoes

ACROSS, UP = 60, 40  # cells of a grid of all neurons


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


def each_auroc(rows: ProbeRows) -> NDArray[np.float64]:
    """[neuron]: the AUROC of each neuron's values alone, that of chance where they never change."""
    wrong = int((rows.y == 1).sum())
    pairs = wrong * (len(rows.y) - wrong)
    ranks = (scipy.stats.rankdata(block, axis=0)[rows.y == 1].sum(0) for _, block in rows.blocks())
    return np.asarray((np.concatenate(list(ranks)) - wrong * (wrong + 1) / 2) / pairs)


def tells_and_does(
    tells: NDArray[np.float64],
    does: NDArray[np.float64],
    order: NDArray[np.intp],
    probes: Sequence[Probe],
    chosen: Probe,
    sizes: tuple[int, int],
) -> TellsAndDoes:
    """`tells` [neuron], AUROCs; `does` [neuron], effects; `order`: neurons as they tell on the fit part, best first.

    As many that tell as a probe has neurons are compared with these. `sizes`: how many answers and facts there were.
    """
    pairs = [(order[: len(probe.positive)].tolist(), probe.positive) for probe in probes if probe.positive]
    tell, do = order[: len(chosen.positive)], np.array(chosen.positive, dtype=np.intp)
    return TellsAndDoes(
        cells=_cells(tells, does),
        telling=tuple(zip(tells[tell].tolist(), does[tell].tolist(), strict=True)),
        doing=tuple(zip(tells[do].tolist(), does[do].tolist(), strict=True)),
        overlaps=tuple(
            overlap("telling and doing", {"that tell": told, "that do": done}, len(tells)) for told, done in pairs
        ),
        rank_correlation=float(scipy.stats.spearmanr(np.abs(tells - 0.5), np.abs(does)).statistic),
        answers=sizes[0],
        facts=sizes[1],
    )


def _cells(tells: NDArray[np.float64], does: NDArray[np.float64]) -> tuple[Cell, ...]:
    """A grid whose steps widen with the effect: a few neurons do a hundred times what most do."""
    usual = float(np.median(np.abs(does))) or 1.0
    bent = np.arcsinh(does / usual)
    count, across, up = np.histogram2d(tells, bent, bins=(ACROSS, UP))
    up = np.sinh(up) * usual
    return tuple(
        Cell(
            tells=(float(across[i]), float(across[i + 1])),
            does=(float(up[j]), float(up[j + 1])),
            count=int(count[i, j]),
        )
        for i, j in zip(*np.nonzero(count), strict=True)
    )
