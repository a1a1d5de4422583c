"""The optimiser of a processor without bfloat16 makes the steps of torch's own, but for that precision."""

from __future__ import annotations

import torch

from hneuro.organism.muon import Float32Muon, orthogonalised

SHAPES = ((12, 20), (20, 12), (12, 20), (8, 8))


def test_steps_are_those_of_torch() -> None:
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    theirs = [torch.nn.Parameter(matrix.detach().clone()) for matrix in ours]
    begin = [matrix.detach().clone() for matrix in ours]
    mine = Float32Muon(ours, lr=0.02, momentum=0.95)
    torchs = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    for _ in range(5):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        mine.step()
        torchs.step()
    for one, other, start in zip(ours, theirs, begin, strict=True):
        moved = (other - start).norm()
        assert moved > 0.1
        assert (one - other).norm() < 0.02 * moved


def test_singular_values_come_near_one_whatever_the_shape() -> None:
    torch.manual_seed(1)
    for rows, columns in ((6, 30), (30, 6)):
        values = torch.linalg.svdvals(orthogonalised(100 * torch.randn(4, rows, columns)))
        assert values.shape == (4, 6)
        assert values.min() > 0.5
        assert values.max() < 1.5


def test_a_matrix_without_a_gradient_stays() -> None:
    matrix = torch.nn.Parameter(torch.ones(3, 4))
    Float32Muon([matrix], lr=1.0, momentum=0.9).step()
    assert torch.equal(matrix, torch.ones(3, 4))
