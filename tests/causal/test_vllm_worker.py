"""Column edits in the weights of a worker, and what of vLLM's layouts is refused; with vLLM itself: tests/engines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from hneuro.causal.grid import SweepSettings
from hneuro.causal.vllm_worker import ColumnEdits

HIDDEN, WIDTH = 4, 6


class Layer(nn.Module):
    """A down projection as vLLM shapes it: [output, input], and its sizes as attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN)
        self.down = nn.Module()
        self.down.weight = nn.Parameter(torch.randn(HIDDEN, WIDTH), requires_grad=False)
        self.down.input_size, self.down.output_size = WIDTH, HIDDEN


class Worker(ColumnEdits):
    def __init__(self) -> None:
        self.model = nn.ModuleList(Layer() for _ in range(3))

    def get_model(self) -> nn.Module:
        return nn.Sequential(self.model)

    @property
    def weights(self) -> list[torch.Tensor]:
        return [layer.down.weight for layer in self.model]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    """One that has all the neurons."""
    alone = SimpleNamespace(get_tensor_model_parallel_rank=lambda: 0, get_tensor_model_parallel_world_size=lambda: 1)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(distributed=alone))
    monkeypatch.setitem(sys.modules, "vllm.distributed", alone)
    return Worker()


def test_columns_are_scaled_and_get_their_bits_back(worker: Worker) -> None:
    """An edit that nobody took back is taken back before the next."""
    before = [weight.clone() for weight in worker.weights]
    assert worker.hneuro_edit(3, WIDTH, [(0, [1, 2]), (2, [5])], 0.0) == 3
    assert worker.weights[0].eq(0).sum() == 2 * HIDDEN
    assert worker.hneuro_edit(3, WIDTH, [(1, [0])], 3.0) == 1
    assert torch.equal(worker.weights[1][:, 0], 3 * before[1][:, 0])
    assert torch.equal(worker.weights[1][:, 1:], before[1][:, 1:])
    assert all(torch.equal(worker.weights[n], before[n]) for n in (0, 2))
    worker.hneuro_restore()
    assert all(map(torch.equal, worker.weights, before))


def test_a_worker_edits_its_own_share_of_the_neurons(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["vllm.distributed"], "get_tensor_model_parallel_rank", lambda: 1)
    monkeypatch.setattr(sys.modules["vllm.distributed"], "get_tensor_model_parallel_world_size", lambda: 2)
    before = worker.weights[0].clone()
    for layer in worker.model:
        layer.down.input_size = 2 * WIDTH
    assert worker.hneuro_edit(3, 2 * WIDTH, [(0, [1, WIDTH + 2])], 0.0) == 1
    assert worker.weights[0].ne(before).any(dim=0).tolist() == [n == 2 for n in range(WIDTH)]


def replaced(weight: torch.Tensor | None) -> Callable[[Layer], None]:
    def change(layer: Layer) -> None:
        del layer.down.weight
        layer.down.weight = weight

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (replaced(torch.zeros(HIDDEN, WIDTH).to(torch.float8_e4m3fn)), "is stored as torch.float8_e4m3fn"),
        (replaced(torch.zeros(WIDTH, HIDDEN)), r"is [6, 4] and not [4, 6]: it is repacked"),
        (replaced(None), "has no plain weight: it is quantised"),
        (lambda layer: setattr(layer.down, "w2_weight", 0), "has fused experts"),
        (lambda layer: setattr(layer.down, "input_size", 5), "layer 0 has 0 down projections"),
    ],
)
def test_weights_that_vllm_repacks_are_refused(worker: Worker, change: Callable[[Layer], None], says: str) -> None:
    assert worker.hneuro_check(3, WIDTH) == ""
    change(worker.model[0])
    assert says in worker.hneuro_check(3, WIDTH)
    assert "stacks of 2 layers" in worker.hneuro_check(2, WIDTH)


def test_what_weights_cannot_express_is_refused() -> None:
    with pytest.raises(ValueError, match=r"variants \['mean'\] cannot be made in weights"):
        SweepSettings(engine="vllm", variants=("mean",))
