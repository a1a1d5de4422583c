"""CETT: how much of an FFN's output at a token is one neuron's doing (paper, section 2.2, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8  # added to ||h||, as in the published code


def pooled_magnitude(z: Tensor, h: Tensor, weights: Tensor) -> Tensor:
    """Sum over tokens of weights[row, region, token] * |z[row, token, neuron]| / ||h[row, token]||, in float32.

    With the column norms of W_down this is CETT averaged over each region:

        CETT[j, t] = |z[j, t]| * ||W_down[:, j]|| / (||h[t]|| + 1e-8)

    z [row, token, neuron], h [row, token, hidden], weights [row, region, token] (0 at padding) -> [row, region, neuron].
    One small matrix product: nothing of the size [token, neuron] outlives this call.
    """
    inverse = 1.0 / (torch.linalg.vector_norm(h, dim=-1, dtype=torch.float32) + EPSILON)
    # `where`, not a product: a NaN at a padded position must not reach the sum.
    weighted = torch.where(weights > 0, weights * inverse[:, None, :], 0.0)
    return torch.bmm(weighted, z.abs().to(torch.float32))
