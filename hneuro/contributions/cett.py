"""CETT: how much of an FFN's output at a token is one neuron's doing (paper, section 2.2, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8  # added to ||h||, as in the published code
CHUNK_BYTES = {"cpu": 1 << 20}  # of |z| at a time: on the CPU, what stays in its cache
LARGE_CHUNK_BYTES = 1 << 28  # on other devices, where every chunk costs a launch


def pooled_magnitude(z: Tensor, h: Tensor, weights: Tensor, clean: bool = False) -> Tensor:
    """Sum over tokens of weights[row, region, token] * |z[row, token, neuron]| / ||h[row, token]||.

    With the column norms of W_down this is CETT averaged over each region:

        CETT[j, t] = |z[j, t]| * ||W_down[:, j]|| / (||h[t]|| + 1e-8)

    z [row, token, neuron], h [row, token, hidden], weights [row, region, token], 0 at padding -> [row, region, neuron]
    in float32, or in the precision of z where that is higher. Small matrix products over a few rows at a time: nothing
    of the size [token, neuron] outlives this call. `clean`: NaN and infinity at positions of no region do not count
    either. It costs more than the products themselves, and is hardly ever needed.
    """
    size = torch.linalg.vector_norm(h, dim=-1, dtype=torch.promote_types(z.dtype, torch.float32))[:, None] + EPSILON
    if not clean:
        return _sums(weights / size, z)
    used = weights > 0  # 0 * NaN is NaN
    return _sums(torch.where(used, weights / size, 0.0), z.masked_fill(~used.any(dim=1)[..., None], 0.0))


def _sums(weighted: Tensor, z: Tensor) -> Tensor:
    """weighted [row, region, token] times |z| [row, token, neuron], by chunks of rows that share one buffer for |z|."""
    rows, regions, tokens = weighted.shape
    size = CHUNK_BYTES.get(z.device.type, LARGE_CHUNK_BYTES) // (weighted.element_size() * tokens * z.shape[-1])
    step = min(rows, max(1, size))
    magnitude = weighted.new_empty(step, tokens, z.shape[-1])
    pooled = weighted.new_empty(rows, regions, z.shape[-1])
    for part, weight, total in zip(z.split(step), weighted.split(step), pooled.split(step), strict=True):
        torch.bmm(weight, _magnitude(part, magnitude[: len(part)]), out=total)
    return pooled


def _magnitude(z: Tensor, out: Tensor) -> Tensor:
    """|z| in the precision of `out`. A GPU converts on the way, where the CPU would make a copy of its own first."""
    return torch.abs(z, out=out) if z.is_cuda else out.copy_(z).abs_()
