"""Muon for a processor without bfloat16, in which `torch.optim.Muon` orthogonalises: there that takes hours."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic, as in torch.optim.Muon
ITERATIONS = 5
SMALLEST_NORM = 1e-7


class Float32Muon(torch.optim.Optimizer):
    """The update of `torch.optim.Muon` with Nesterov momentum, no weight decay and adjust_lr_fn="match_rms_adamw".

    All matrices of one shape are orthogonalised at once. Source: Jordan et al., "Muon"; Liu et al., arXiv:2502.16982.
    """

    def __init__(self, matrices: Iterable[torch.Tensor], *, lr: float, momentum: float) -> None:
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # nobody gives a closure
        for group in self.param_groups:
            alike: dict[torch.Size, list[torch.Tensor]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike[matrix.shape].append(matrix)
            for shape, matrices in alike.items():
                updates = orthogonalised(torch.stack([self._ahead(m, group["momentum"]) for m in matrices]))
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))
                for matrix, update in zip(matrices, updates, strict=True):
                    matrix.add_(update, alpha=-rate)

    def _ahead(self, matrix: torch.Tensor, momentum: float) -> torch.Tensor:
        """The gradient under Nesterov momentum."""
        state = self.state[matrix]
        if "mean" not in state:
            state["mean"] = torch.zeros_like(matrix)
        mean: torch.Tensor = state["mean"].lerp_(matrix.grad, 1 - momentum)
        assert matrix.grad is not None
        return matrix.grad.lerp(mean, momentum)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Each matrix [matrix, row, column] with its singular values brought near 1."""
    a, b, c = NEWTON_SCHULZ
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp(min=SMALLEST_NORM)[:, None, None]
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
