"""Parameter drift: did the H-Neurons' weights move less than others on the way to the chat model? (paper, 4.2)

How far each neuron's weights moved is read a pair of tensors at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import scipy  # whose submodules are loaded when they are first used
from numpy.typing import NDArray

from hneuro.neurons import HNeurons, NeuronSpace
from hneuro.probe.controls import layer_matched_set
from hneuro.result_records import ResultRow
from hneuro.significance import share_at_least
from hneuro.statistics import mean_of

if TYPE_CHECKING:
    from torch import Tensor

    from hneuro.models.ffn import FFN
    from hneuro.models.files import StoredFFN

PARTS = ("up", "down", "gate")
# End of a metric's name -> the parts that are averaged for it. The first is the paper's.
KINDS: Mapping[str, tuple[str, ...]] = {
    "": ("up", "down"),
    "_up": ("up",),
    "_down": ("down",),
    "_gate": ("gate",),
}
# Each is measured for each kind: "drift_rank", "drift_rank_up", ...
MEASURES = ("drift_rank", "drift_z", "drift_distance")
CHUNK = 512  # neurons whose weights are compared at once, in float64
DRAWS = 1000  # layer-matched sets that the H-Neurons are compared with

PerNeuron = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OriginSettings:
    """`base_probe`: also select neurons on the base model itself, which has to answer the fit split for it."""

    base_probe: bool = True


class Layer(Protocol):
    """The FFN weights of a layer with a row for each neuron: [neuron, hidden]."""

    def up_rows(self) -> Tensor: ...

    def down_rows(self) -> Tensor: ...

    def gate_rows(self) -> Tensor | None: ...


def distances(chat: FFN | StoredFFN, base: FFN | StoredFFN) -> PerNeuron:
    """Cosine distances [part, neuron], a line for each of `PARTS`: 0 = the same direction, 2 = the opposite one.

    1 - cos between both models of each neuron's row in W_up, column in W_down and row in W_gate. NaN for the gate of an
    FFN without one. From files one pair of tensors is held at a time.
    """
    assert chat.space == base.space
    pairs = list(enumerate(zip(chat.layers, base.layers, strict=True)))
    width = chat.space.width_of
    return np.stack([np.concatenate([_moved(part, a, b, width(n)) for n, (a, b) in pairs]) for part in PARTS])


def _moved(part: str, chat: Layer, base: Layer, width: int) -> PerNeuron:
    """How far one part of a layer's neurons moved [neuron]."""
    if part == "up":
        return _distance(chat.up_rows(), base.up_rows())
    if part == "down":
        return _distance(chat.down_rows(), base.down_rows())
    one, other = chat.gate_rows(), base.gate_rows()
    return np.full(width, np.nan) if one is None or other is None else _distance(one, other)


def _distance(a: Tensor, b: Tensor) -> PerNeuron:
    """1 - cos of matching rows [neuron, hidden] -> [neuron], as half the squared distance of the unit vectors.

    Unlike 1 - a.b / |a| |b| that is exactly 0 for rows that did not change, whose rounding would else be ranked.
    """
    import torch

    unit, found = torch.nn.functional.normalize, []
    for one, other in zip(a.split(CHUNK), b.split(CHUNK), strict=True):
        apart = unit(one.double().cpu(), dim=1) - unit(other.double().cpu(), dim=1)
        found.append(0.5 * apart.square().sum(1))
    return np.asarray(torch.cat(found).numpy())


def ranks_of(moved: PerNeuron) -> PerNeuron:
    """Distances [part, neuron] -> normalised ranks [kind, neuron]; NaN where a part is missing.

    As in the paper each part is z-scored over all neurons, and averaged over the parts of the kind.
    """
    return np.stack([_rank(moved[_lines(parts)]) for parts in KINDS.values()])


def _lines(parts: tuple[str, ...]) -> list[int]:
    return [PARTS.index(part) for part in parts]


def _rank(moved: PerNeuron) -> PerNeuron:
    drift = np.mean([_z(line) for line in moved], axis=0)
    ranks = (scipy.stats.rankdata(-drift) - 1) / (len(drift) - 1)
    return np.asarray(np.full_like(drift, np.nan) if np.isnan(drift).any() else ranks)


def _z(values: PerNeuron) -> PerNeuron:
    """Standardised over all of them; 0 where they are all the same, up to the rounding of their mean."""
    return np.asarray(np.zeros_like(values) if np.ptp(values) == 0 else (values - values.mean()) / values.std())


def _within_layers(moved: PerNeuron, space: NeuronSpace) -> PerNeuron:
    """[part, neuron] -> [neuron]: each part standardised within its layer, and averaged over the parts."""
    by_layer = [np.concatenate([_z(layer) for layer in np.split(part, space.starts[1:-1])]) for part in moved]
    return np.asarray(np.mean(by_layer, axis=0))


def drift_rows(moved: PerNeuron, neurons: HNeurons, seed: int) -> tuple[ResultRow, ...]:
    """Drift of the H-Neurons, and of `DRAWS` sets of as many neurons of the same layers, from distances [part, neuron].

    For each of `KINDS` three measures: the paper's normalised rank over the whole model; z, which compares a neuron
    with its own layer alone, because layers change by different amounts; and the plain cosine distance.
    """
    if not neurons.neurons:
        return ()
    space = neurons.space
    matched = np.array([layer_matched_set(space, neurons.neurons, (), seed * DRAWS + n) for n in range(DRAWS)])
    measures: Mapping[str, Callable[[PerNeuron], PerNeuron]] = {
        "drift_rank": _rank,
        "drift_z": lambda part: _within_layers(part, space),
        "drift_distance": lambda part: np.asarray(part.mean(0)),
    }
    assert tuple(measures) == MEASURES
    rows: list[ResultRow] = []
    for kind, parts in KINDS.items():
        of_kind = moved[_lines(parts)]
        if np.isnan(of_kind).any():
            continue  # an FFN without gate
        for name, measure in measures.items():
            each = measure(of_kind)
            sets = each[matched].mean(1)
            if name == "drift_rank":
                rows += [drift_row(each, neurons, name + kind), _matched(each, sets, neurons, name + kind, -1)]
            else:
                rows += [_own(each, sets, neurons, name + kind), _matched(each, sets, neurons, name + kind, 1)]
    return tuple(rows)


def drift_row(ranks: NDArray[np.floating], neurons: HNeurons, metric: str = "drift_rank") -> ResultRow:
    """Mean normalised rank of the H-Neurons; p of the one-sided t-test that they changed less than other neurons."""
    own = np.asarray(ranks, dtype=np.float64)[list(neurons.neurons)]
    if len(own) < 2 or np.ptp(own) == 0:
        value = float(own.mean()) if len(own) else np.nan
        return _row(metric, value=value, n=len(own), note="too few different ranks for a test")
    test = scipy.stats.ttest_1samp(own, float(ranks.mean()), alternative="greater")
    low, high = map(float, scipy.stats.ttest_1samp(own, float(ranks.mean())).confidence_interval(0.95))
    note = "0 = changed most, 1 = changed least; a random neuron is at 0.5"
    value, p_value = float(own.mean()), float(test.pvalue)
    return _row(metric, value=value, low=low, high=high, n=len(own), p_value=p_value, note=note)


def _own(each: PerNeuron, sets: PerNeuron, neurons: HNeurons, metric: str) -> ResultRow:
    """The H-Neurons' mean with its t interval; p that a layer-matched set moved as little."""
    found = mean_of(each[list(neurons.neurons)].tolist())
    p_value = _as_little(found.value, sets, 1)
    return _row(metric, value=found.value, low=found.low, high=found.high, n=found.n, p_value=p_value)


def _matched(each: PerNeuron, sets: PerNeuron, neurons: HNeurons, metric: str, sign: int) -> ResultRow:
    low, high = map(float, np.quantile(sets, [0.025, 0.975]))
    p_value = _as_little(float(each[list(neurons.neurons)].mean()), sets, sign)
    note = "the middle 95 % of the sets; p that such a set changed as little"
    value, condition = float(sets.mean()), "h_neurons/layer_matched"
    return _row(metric, condition, value=value, low=low, high=high, n=DRAWS, p_value=p_value, note=note)


def _row(metric: str, condition: str = "h_neurons", **fields: Any) -> ResultRow:
    return ResultRow(stage="origin", metric=metric, dataset="parameters", condition=condition, **fields)


def _as_little(own: float, sets: PerNeuron, sign: int) -> float:
    """`sign`: 1 where a larger value means more change, -1 where it means less."""
    return share_at_least(-sign * own, (-sign * sets).tolist())
