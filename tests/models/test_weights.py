"""Weights that are not plain tensors are read as the module computes with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hneuro.contributions.extract import extract
from hneuro.models.edits import scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.load import Loaded, load, prove
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.models.weights import bias_of, by_input, is_quantised
from hneuro.records import UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

SEQUENCES = [[1, 9, 30, 12], [1, 40, 7, 7, 21, 33, 8, 19, 4], [1, 5]]
WEIGHTS = [np.full((1, len(s)), 1 / len(s), dtype=np.float32) for s in SEQUENCES]


class PackedLinear(nn.Module):
    """Weights of four bits in pairs, a scale for each output, and products of the dequantised weights."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.scale = linear.weight.detach().abs().amax(dim=1, keepdim=True) / 7
        codes = (linear.weight.detach() / self.scale).round().add(8).to(torch.uint8).flatten()
        self.weight = nn.Parameter((codes[::2] << 4 | codes[1::2])[:, None], requires_grad=False)
        self.bias = linear.bias

    def dequantised(self) -> Tensor:
        codes = torch.cat([self.weight >> 4, self.weight & 15], dim=1)
        return (codes.view(self.out_features, self.in_features).float() - 8) * self.scale

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.dequantised().to(x.dtype), self.bias)


class RoundingLinear(PackedLinear):
    """As LLM.int8: the inputs of every row are rounded to eight bits, too."""

    def forward(self, x: Tensor) -> Tensor:
        step = x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / 127
        return super().forward((x / step).round() * step)


def quantised(spec: ModelSpec, kind: Callable[[nn.Linear], nn.Module]) -> Loaded:
    loaded = load(spec.chat, spec)
    for layer in loaded.model.model.layers:
        for name in ("gate_proj", "up_proj", "down_proj"):
            setattr(layer.mlp, name, kind(getattr(layer.mlp, name)))
    return Loaded(loaded.model, find_ffn(loaded.model))


def test_quantised_weights_are_read_through_the_module(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hneuro.models.weights.BLOCK", 24)  # blocks of 24, 24 and 16 of 64 neurons
    loaded = quantised(spec, PackedLinear)
    prove(loaded.model, loaded.ffn)
    for projection, norms in zip(loaded.ffn.layers, loaded.column_norms, strict=True):
        assert is_quantised(projection.module)
        weight = projection.module.dequantised()
        torch.testing.assert_close(projection.down_rows(), weight.T, rtol=0, atol=1e-6)
        torch.testing.assert_close(projection.up_rows(), projection.up.dequantised(), rtol=0, atol=1e-6)
        torch.testing.assert_close(norms, weight.norm(dim=0), rtol=1e-5, atol=0)


def test_a_model_of_quantised_weights_is_measured_as_if_they_were_dequantised(spec: ModelSpec) -> None:
    loaded = quantised(spec, PackedLinear)
    found = extract(loaded, SEQUENCES, WEIGHTS, 100)
    for layer in loaded.model.model.layers:
        for name in ("gate_proj", "up_proj", "down_proj"):
            plain = nn.Linear(*getattr(layer.mlp, name).dequantised().T.shape, bias=False)
            plain.weight.data = getattr(layer.mlp, name).dequantised()
            setattr(layer.mlp, name, plain)
    expected = extract(Loaded(loaded.model, find_ffn(loaded.model)), SEQUENCES, WEIGHTS, 100)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_an_engine_that_rounds_its_inputs_is_proven_within_its_rounding(spec: ModelSpec) -> None:
    loaded = quantised(spec, RoundingLinear)
    prove(loaded.model, loaded.ffn)
    exact = loaded.ffn.layers[1].module.dequantised().norm(dim=0)
    torch.testing.assert_close(loaded.column_norms[1], exact, rtol=1e-5, atol=0)


def test_the_bias_is_told_from_the_weights() -> None:
    packed = PackedLinear(nn.Linear(6, 4))
    torch.testing.assert_close(by_input(packed, torch.float32), packed.dequantised().T)
    torch.testing.assert_close(bias_of(packed, torch.float32), packed.bias.detach())
    assert bias_of(nn.Linear(6, 4, bias=False), torch.float32) is None


def test_a_quantised_projection_that_does_something_else_is_refused(spec: ModelSpec) -> None:
    loaded = quantised(spec, PackedLinear)
    loaded.ffn.layers[2].module.register_forward_hook(lambda module, inputs, output: output * 1.2)
    with pytest.raises(UserError, match=r"layer 2 .* does not compute h = W_down z"):
        prove(loaded.model, loaded.ffn)


def offloaded(path: Path) -> ModelSpec:
    """Parts on the CPU, parts on the disk, whose weights are on no device when they are not in use."""
    places = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "disk"}
    places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
    return ModelSpec(name="tiny", chat=HubCheckpoint(path=str(path)), dtype="float32", device_map=places)


def test_offloaded_weights_are_fetched_and_go_back(tiny_checkpoint: Path, spec: ModelSpec) -> None:
    away = load(offloaded(tiny_checkpoint).chat, offloaded(tiny_checkpoint))
    here = load(spec.chat, spec)
    assert away.ffn.layers[1].weight.device.type == "meta"
    assert away.device == torch.device("cpu")
    for a, b in zip(away.ffn.layers, here.ffn.layers, strict=True):
        assert torch.equal(a.column_norms(), b.column_norms())
        assert torch.equal(a.down_rows(), b.down_rows())
        assert torch.equal(a.up_rows(), b.up_rows())
    expected = extract(here, SEQUENCES, WEIGHTS, 100)
    for _ in range(2):  # the first pass ends inside the last layer, whose weights must not stay behind
        np.testing.assert_array_equal(extract(away, SEQUENCES, WEIGHTS, 100), expected)
        assert all(weight.is_meta for weight in away.ffn.decoder.layers[2].parameters())
    jobs = [Job(tuple(s), seed=str(n), treatment=scaled((3, 100), 2.0 * n)) for n, s in enumerate(SEQUENCES)]
    words = [generate(model, 0, jobs, Decoding(temperature=0, max_new_tokens=4)) for model in (away, here)]
    assert [g.token_ids for g in words[0]] == [g.token_ids for g in words[1]]


def test_one_device_and_a_map_exclude_each_other(tiny_checkpoint: Path) -> None:
    source = HubCheckpoint(path=str(tiny_checkpoint))
    both = ModelSpec(name="tiny", chat=source, device="cpu", device_map="auto")
    with pytest.raises(UserError, match="exclude each other"):
        load(source, both)
