"""Parameter drift: how far each neuron's weights moved from the base to the chat model (paper, section 4.2)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata, ttest_1samp
from torch import Tensor

from hneuro.models.load import Loaded
from hneuro.models.parallel import together
from hneuro.records import HNeurons, ResultRow, UserError


@together
def drift_ranks(chat: Loaded, base: Loaded) -> NDArray[np.float64]:
    """Normalised rank [neuron]: 0 = its weights changed most, 1 = least.

    1 - cos between base and chat of each neuron's up row and down column, each z-scored over all neurons, averaged.
    """
    if chat.ffn.space != base.ffn.space:
        raise UserError(
            f"chat and base model differ in shape ({chat.ffn.space} and {base.ffn.space}): no drift between them"
        )
    up = np.concatenate(
        [_distance(a.up_rows(), b.up_rows()) for a, b in zip(chat.ffn.layers, base.ffn.layers, strict=True)]
    )
    down = np.concatenate(
        [_distance(a.down_rows(), b.down_rows()) for a, b in zip(chat.ffn.layers, base.ffn.layers, strict=True)]
    )
    drift = (_z(up) + _z(down)) / 2
    return np.asarray((rankdata(-drift) - 1) / (len(drift) - 1))


def drift_row(ranks: NDArray[np.floating], neurons: HNeurons) -> ResultRow:
    """Mean normalised rank of the H-Neurons; p of the one-sided t-test that they changed less than other neurons."""
    own = np.asarray(ranks, dtype=np.float64)[list(neurons.neurons)]
    if len(own) < 2 or np.ptp(own) == 0:
        return ResultRow(
            stage="origin", metric="drift_rank", dataset="parameters", condition="h_neurons",
            value=float(own.mean()) if len(own) else np.nan, n=len(own), note="too few different ranks for a test",
        )  # fmt: skip
    test = ttest_1samp(own, float(ranks.mean()), alternative="greater")
    interval = ttest_1samp(own, float(ranks.mean())).confidence_interval(0.95)
    return ResultRow(
        stage="origin",
        metric="drift_rank",
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
    unit = torch.nn.functional.normalize
    apart = unit(a.double().cpu(), dim=1) - unit(b.double().cpu(), dim=1)
    return np.asarray(0.5 * apart.square().sum(1).numpy())


def _z(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)
