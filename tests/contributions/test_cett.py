"""CETT against the formula, token by token."""

from __future__ import annotations

import pytest
import torch

from hneuro.contributions.cett import EPSILON, pooled_magnitude


def naive(z: torch.Tensor, h: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    rows, regions, tokens = weights.shape
    pooled = torch.zeros(rows, regions, z.shape[-1], dtype=torch.float64)
    for row in range(rows):
        for region in range(regions):
            for token in range(tokens):
                share = z[row, token].double().abs() / (h[row, token].double().norm() + EPSILON)
                pooled[row, region] += weights[row, region, token].double() * share
    return pooled


def inputs(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(3, 7, 11, generator=draw, dtype=torch.float64).to(dtype)
    h = torch.randn(3, 7, 5, generator=draw, dtype=torch.float64).to(dtype)
    weights = torch.rand(3, 2, 7, generator=draw, dtype=torch.float64)
    weights[weights < 0.4] = 0.0
    weights[:, :, -2:] = 0.0
    return z, h, weights.to(torch.promote_types(dtype, torch.float32))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6), (torch.bfloat16, 1e-6)]
)
def test_equals_the_formula(dtype: torch.dtype, tolerance: float) -> None:
    """Norms and sums of a half precision model are taken in float32, so bfloat16 loses nothing more."""
    z, h, weights = inputs(dtype)
    assert torch.allclose(pooled_magnitude(z, h, weights).double(), naive(z, h, weights), rtol=tolerance, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_stands_at_unused_positions_does_not_leak(bad: float) -> None:
    z, h, weights = inputs(torch.float32)
    expected = pooled_magnitude(z, h, weights)
    z[:, -2:], h[:, -2:] = bad, bad
    assert torch.equal(pooled_magnitude(z, h, weights, clean=True), expected)


def test_a_silent_ffn_divides_by_no_zero() -> None:
    z, h, weights = inputs(torch.float32)
    assert torch.isfinite(pooled_magnitude(z, torch.zeros_like(h), weights)).all()
