"""Neurons scaled in a worker, and what of vLLM's layouts is refused; with vLLM itself: tests/engines."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from hneuro.causal.grid import SweepSettings
from hneuro.causal.vllm_worker import NeuronScale

HIDDEN, WIDTH = 4, 6


class Down(nn.Linear):
    """A down projection as vLLM shapes it: its whole size as attributes, whatever part of it lies here."""

    def __init__(self, workers: int = 1) -> None:
        super().__init__(WIDTH // workers, HIDDEN, bias=False)
        self.input_size, self.output_size = WIDTH, HIDDEN


class Layer(nn.Module):
    def __init__(self, workers: int = 1) -> None:
        super().__init__()
        self.norm, self.down = nn.LayerNorm(HIDDEN), Down(workers)

    def forward(self, z: Tensor) -> Tensor:
        return self.down(z * 1)


class Worker(NeuronScale):
    def __init__(self, workers: int = 1) -> None:
        self.layers = nn.ModuleList(Layer(workers) for _ in range(3))

    def get_model(self) -> nn.Module:
        return nn.Sequential(self.layers)

    def effects(self) -> list[list[float]]:
        """[layer, input]: what an input of 1 is scaled by."""
        with torch.inference_mode():
            return [
                [(layer(one).norm() / layer.down.weight[:, n].norm()).item() for n, one in enumerate(torch.eye(width))]
                for layer in self.layers
                for width in [layer.down.in_features]
            ]


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What says which share of the neurons lies on a worker: all of them."""
    alone = SimpleNamespace(get_tensor_model_parallel_rank=lambda: 0, get_tensor_model_parallel_world_size=lambda: 1)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(distributed=alone))
    monkeypatch.setitem(sys.modules, "vllm.distributed", alone)
    return alone


@pytest.mark.usefixtures("vllm")
def test_neurons_are_scaled_until_others_are() -> None:
    worker, ones = Worker(), [1.0] * WIDTH
    assert worker.hneuro_reach(3, WIDTH) == ""
    assert worker.hneuro_scale(WIDTH, [(0, [1, 2]), (2, [5])], 0.0) == 3
    assert worker.effects() == [pytest.approx([1, 0, 0, 1, 1, 1]), pytest.approx(ones), pytest.approx([1] * 5 + [0])]
    assert worker.hneuro_scale(WIDTH, [(1, [0])], 3.0) == 1
    assert worker.effects() == [pytest.approx(ones), pytest.approx([3, 1, 1, 1, 1, 1]), pytest.approx(ones)]
    assert worker.hneuro_scale(WIDTH, [], 1.0) == 0
    assert worker.effects() == [pytest.approx(ones)] * 3


def test_a_worker_scales_its_own_share_of_the_neurons(vllm: SimpleNamespace) -> None:
    vllm.get_tensor_model_parallel_rank, vllm.get_tensor_model_parallel_world_size = (lambda: 1), (lambda: 2)
    worker = Worker(workers=2)
    assert worker.hneuro_reach(3, WIDTH) == ""
    assert worker.hneuro_scale(WIDTH, [(0, [1, 4])], 0.0) == 1
    assert worker.effects()[0] == pytest.approx([1, 0, 1])


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("w2_weight", 0, "has fused experts"), ("input_size", 5, "layer 0 has 0 down projections")],
)
def test_neurons_that_no_hook_reaches_are_refused(name: str, value: int, says: str) -> None:
    worker = Worker()
    setattr(worker.layers[0].down, name, value)
    assert says in worker.hneuro_reach(3, WIDTH)
    assert "stacks of 2 layers" in worker.hneuro_reach(2, WIDTH)


def test_variants_are_refused() -> None:
    with pytest.raises(ValueError, match=r"engine=vllm has no variants \['mean'\]"):
        SweepSettings(engine="vllm", variants=("mean",))
