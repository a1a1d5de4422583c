"""CETT: how much of an FFN's output at a token is one neuron's doing (paper, section 2.2, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8  # added to ||h||, as in the published code


def pooled_magnitude(z: Tensor, h: Tensor, weights: Tensor) -> Tensor:
    """Sum over tokens of weights[row, region, token] * |z[row, token, neuron]| / ||h[row, token]||.

    With the column norms of W_down this is CETT averaged over each region:

        CETT[j, t] = |z[j, t]| * ||W_down[:, j]|| / (||h[t]|| + 1e-8)

    z [row, token, neuron], h [row, token, hidden], weights [row, region, token], 0 at padding -> [row, region, neuron]
    in float32, or in the precision of z where that is higher. One small matrix product: nothing of the size
    [token, neuron] outlives this call.
    """
    precise = torch.promote_types(z.dtype, torch.float32)
    inverse = 1.0 / (torch.linalg.vector_norm(h, dim=-1, dtype=precise) + EPSILON)
    # Not only products with zero: a NaN or infinity at a position of no region must not reach the sums.
    weighted = torch.where(weights > 0, weights * inverse[:, None, :], 0.0)
    unused = (weights <= 0).all(dim=1)
    return torch.bmm(weighted, z.abs().to(precise).masked_fill_(unused[..., None], 0.0))
