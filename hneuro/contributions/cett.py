"""CETT: how much of an FFN's output at a token is one neuron's doing (paper, section 2.2, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8  # added to ||h||, as in the published code
CHUNK_BYTES = {"cpu": 1 << 19}  # of |z| at a time: on the CPU, what stays in its cache
LARGE_CHUNK_BYTES = 1 << 28  # on other devices, where every chunk costs a launch


def pooled_magnitude(z: Tensor, h: Tensor, weights: Tensor) -> Tensor:
    """Sum over tokens of weights[row, region, token] * |z[row, token, neuron]| / ||h[row, token]||.

    With the column norms of W_down this is CETT averaged over each region:

        CETT[j, t] = |z[j, t]| * ||W_down[:, j]|| / (||h[t]|| + 1e-8)

    z [row, token, neuron], h [row, token, hidden], weights [row, region, token], 0 at padding -> [row, region, neuron]
    in float32, or in the precision of z where that is higher. Small matrix products over a few rows at a time: nothing
    of the size [token, neuron] outlives this call. What stands at positions of no region does not count, NaN included.
    """
    precise = torch.promote_types(z.dtype, torch.float32)
    inverse = 1.0 / (torch.linalg.vector_norm(h, dim=-1, dtype=precise) + EPSILON)
    weighted = torch.where(weights > 0, weights * inverse[:, None, :], 0.0)
    pooled = _sums(weighted, z)
    if not torch.isfinite(pooled.sum()):
        # 0 * NaN is NaN. Cleaning z always would cost more than the product itself, and is hardly ever needed.
        unused = (weights <= 0).all(dim=1)
        pooled = _sums(weighted, z.masked_fill(unused[..., None], 0.0))
    return pooled


def _sums(weighted: Tensor, z: Tensor) -> Tensor:
    """weighted [row, region, token] times |z| [row, token, neuron], by chunks of rows that share one buffer for |z|."""
    rows, regions, _ = weighted.shape
    _, tokens, width = z.shape
    size = CHUNK_BYTES.get(z.device.type, LARGE_CHUNK_BYTES) // (weighted.element_size() * tokens * width)
    step = min(rows, max(1, size))
    magnitude = weighted.new_empty(step, tokens, width)
    pooled = weighted.new_empty(rows, regions, width)
    for start in range(0, rows, step):
        some = slice(start, start + step)
        part = magnitude[: len(z[some])].copy_(z[some]).abs_()
        torch.bmm(weighted[some], part, out=pooled[some])
    return pooled
