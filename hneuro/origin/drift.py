"""Parameter drift: how far each neuron's weights moved from the base to the chat model (paper, section 4.2)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, ttest_1samp
from torch import Tensor

from hneuro.models.ffn import FFN
from hneuro.models.files import StoredFFN
from hneuro.models.load import Loaded
from hneuro.models.parallel import together
from hneuro.origin.kinds import KINDS, PARTS
from hneuro.probe.controls import layer_matched_set
from hneuro.records import HNeurons, UserError
from hneuro.results import ResultRow
from hneuro.statistics import share_at_least

CHUNK = 4096  # neurons whose weights are compared at once, in float64
DRAWS = 1000  # layer-matched sets that the mean rank is compared with


class Layer(Protocol):
    """The FFN weights of a layer with a row for each neuron: [neuron, hidden]."""

    def up_rows(self) -> Tensor: ...

    def down_rows(self) -> Tensor: ...

    def gate_rows(self) -> Tensor | None: ...


@together
def loaded_drift_ranks(chat: Loaded, base: Loaded) -> NDArray[np.float64]:
    """`drift_ranks` of models in memory."""
    return drift_ranks(chat.ffn, base.ffn)


def drift_ranks(chat: FFN | StoredFFN, base: FFN | StoredFFN) -> NDArray[np.float64]:
    """Normalised ranks [kind, neuron], a line for each of `KINDS`: 0 = its weights changed most, 1 = least.

    1 - cos between base and chat of each neuron's row in W_up, column in W_down and row in W_gate, each z-scored over
    all neurons, averaged over the parts of the kind. NaN for the gate of an FFN without one. From files one pair of
    tensors is held at a time.
    """
    if chat.space != base.space:
        raise UserError(f"chat and base model differ in shape ({chat.space} and {base.space}): no drift between them")
    pairs = list(zip(chat.layers, base.layers, strict=True))
    moved = {part: _z(np.concatenate([_moved(part, a, b, chat.space.width) for a, b in pairs])) for part in PARTS}
    return np.stack([_ranks(np.mean([moved[part] for part in parts], axis=0)) for parts in KINDS.values()])


def _moved(part: str, chat: Layer, base: Layer, width: int) -> NDArray[np.float64]:
    """How far one part of a layer's neurons moved [neuron]."""
    if part == "up":
        return _distance(chat.up_rows(), base.up_rows())
    if part == "down":
        return _distance(chat.down_rows(), base.down_rows())
    one, other = chat.gate_rows(), base.gate_rows()
    return np.full(width, np.nan) if one is None or other is None else _distance(one, other)


def _ranks(drift: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.full_like(drift, np.nan) if np.isnan(drift).any() else (rankdata(-drift) - 1) / (len(drift) - 1)


def drift_rows(ranks: NDArray[np.floating], neurons: HNeurons, seed: int) -> tuple[ResultRow, ...]:
    """For each kind of drift the H-Neurons' mean rank, and what neurons of the same layers would have."""
    rows: list[ResultRow] = []
    for metric, line in zip(KINDS, np.asarray(ranks, dtype=np.float64), strict=True):
        if not np.isnan(line).any() and neurons.neurons:
            rows += [drift_row(line, neurons, metric), _layer_matched(line, neurons, metric, seed)]
    return tuple(rows)


def _layer_matched(ranks: NDArray[np.float64], neurons: HNeurons, metric: str, seed: int) -> ResultRow:
    """Layers change by different amounts: the mean rank of as many neurons of the same layers, and p against them."""
    sets = (layer_matched_set(neurons.space, neurons.neurons, (), seed * DRAWS + n) for n in range(DRAWS))
    null = [float(ranks[list(chosen)].mean()) for chosen in sets]
    low, high = np.quantile(null, [0.025, 0.975])
    return ResultRow(
        stage="origin",
        metric=metric,
        dataset="parameters",
        condition="h_neurons/layer_matched",
        value=float(np.mean(null)),
        low=float(low),
        high=float(high),
        n=DRAWS,
        p_value=share_at_least(float(ranks[list(neurons.neurons)].mean()), null),
        note="the middle 95 % of the sets; p that such a set changed as little",
    )


def drift_row(ranks: NDArray[np.floating], neurons: HNeurons, metric: str = "drift_rank") -> ResultRow:
    """Mean normalised rank of the H-Neurons; p of the one-sided t-test that they changed less than other neurons."""
    own = np.asarray(ranks, dtype=np.float64)[list(neurons.neurons)]
    if len(own) < 2 or np.ptp(own) == 0:
        return ResultRow(
            stage="origin", metric=metric, dataset="parameters", condition="h_neurons",
            value=float(own.mean()) if len(own) else np.nan, n=len(own), note="too few different ranks for a test",
        )  # fmt: skip
    test = ttest_1samp(own, float(ranks.mean()), alternative="greater")
    interval = ttest_1samp(own, float(ranks.mean())).confidence_interval(0.95)
    return ResultRow(
        stage="origin",
        metric=metric,
        dataset="parameters",
        condition="h_neurons",
        value=float(own.mean()),
        low=float(interval.low),
        high=float(interval.high),
        n=len(own),
        p_value=float(test.pvalue),
        note="0 = changed most, 1 = changed least; a random neuron is at 0.5",
    )


def _distance(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """1 - cos of matching rows [neuron, hidden] -> [neuron], as half the squared distance of the unit vectors.

    Unlike 1 - a.b / |a| |b| that is exactly 0 for rows that did not change, whose rounding would else be ranked.
    """
    unit, found = torch.nn.functional.normalize, []
    for one, other in zip(a.split(CHUNK), b.split(CHUNK), strict=True):
        apart = unit(one.double().cpu(), dim=1) - unit(other.double().cpu(), dim=1)
        found.append(0.5 * apart.square().sum(1))
    return np.asarray(torch.cat(found).numpy())


def _z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
