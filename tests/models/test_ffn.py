"""The neurons of every supported layout are found by structure, and what is found is proven."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from hneuro.models.ffn import DownProjection, find_ffn
from hneuro.models.hooks import observe
from hneuro.models.load import prove
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

TOKENS = torch.arange(1, 9)[None]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finds_and_proves_every_dense_layout(dense: Any, dtype: torch.dtype) -> None:
    model = dense.to(dtype)
    ffn = find_ffn(model)
    assert ffn.space == NeuronSpace(n_layers=3, width=40)
    prove(model, ffn)


def test_up_rows_are_what_z_is_made_of(dense: Any) -> None:
    """Silencing a neuron's row of W_up, and its bias, silences the neuron and no other."""
    ffn = find_ffn(dense)
    before = first_layer_z(dense)
    rows = ffn.layers[0].up_rows()
    assert rows.shape == (40, 16)
    rows[7] = 0.0  # a view of the weight
    if (bias := getattr(ffn.layers[0].up, "bias", None)) is not None:
        bias[7] = 0.0
    after = first_layer_z(dense)
    assert not torch.equal(before[..., 7], after[..., 7])
    assert torch.equal(after[..., 7], torch.zeros_like(after[..., 7]))
    assert torch.equal(before[..., 8:], after[..., 8:])


def test_up_rows_are_not_the_gate_s(gated: Any) -> None:
    """z is linear in W_up and not in the gate, which a fused projection holds in the same weight."""
    before = first_layer_z(gated)
    find_ffn(gated).layers[0].up_rows()[7] *= 2.0
    assert torch.equal(first_layer_z(gated)[..., 7], 2.0 * before[..., 7])


def first_layer_z(model: Any) -> torch.Tensor:
    seen: dict[int, torch.Tensor] = {}
    with torch.no_grad(), observe(find_ffn(model), 1, lambda layer, z, h: seen.update({layer: z.clone()})):
        model(input_ids=TOKENS, use_cache=False)
    return seen[0]


def test_column_norms_are_norms_of_the_columns_and_leave_the_weights_alone(dense: Any) -> None:
    for projection in find_ffn(dense).layers:
        before = projection.weight.clone()
        naive = projection.down_rows().double().norm(dim=1)
        assert torch.allclose(projection.column_norms().double(), naive, rtol=1e-6)
        assert torch.equal(projection.weight, before)


def test_column_norms_over_several_chunks() -> None:
    linear = nn.Linear(5, 200, bias=False, dtype=torch.float64)  # 200 hidden dimensions: chunks of 64, 64, 64 and 8
    projection = DownProjection(linear, linear, torch.float64)
    assert torch.allclose(projection.column_norms(), linear.weight.norm(dim=0), rtol=1e-12)
    half = DownProjection(linear.bfloat16(), linear, torch.bfloat16)
    assert half.column_norms().dtype == torch.float32


def test_an_adapter_that_is_not_merged_is_refused(mistral3: Any) -> None:
    """Named as peft names its own; peft is no dependency."""
    kind = type("Linear", (nn.Linear,), {"__module__": "peft.tuners.lora.layer"})
    mistral3.get_decoder().layers[1].mlp.down_proj = kind(40, 16)
    with pytest.raises(UserError, match=r"^layer 1 carries an adapter that is not merged .*merge_and_unload"):
        find_ffn(mistral3)


def test_a_model_without_decoder_is_refused() -> None:
    with pytest.raises(UserError, match="has no text decoder"):
        find_ffn(nn.Linear(2, 2))


def test_prove_refuses_a_projection_that_the_logits_do_not_need(dense: Any) -> None:
    ffn = find_ffn(dense)
    ffn.layers[1].weight.zero_()
    with pytest.raises(UserError, match=r"silencing the FFN of layer 1 .* moves no logit"):
        prove(dense, ffn)


def test_prove_refuses_a_projection_that_is_more_than_a_linear_map(mistral3: Any) -> None:
    ffn = find_ffn(mistral3)
    ffn.layers[2].module.register_forward_hook(lambda module, inputs, output: output * 1.05)
    with pytest.raises(UserError, match=r"layer 2 .* does not compute h = W_down z"):
        prove(mistral3, ffn)


def test_prove_refuses_the_projections_of_a_vision_tower(mistral3: Any) -> None:
    """They look right, but text never runs through them."""
    ffn = find_ffn(mistral3)
    tower = [m for name, m in mistral3.named_modules() if "vision" in name and name.endswith("down_proj")]
    wrong = tuple(DownProjection(m, p.up, p.dtype) for m, p in zip(tower, ffn.layers, strict=True))
    with pytest.raises(UserError, match=r"layer 0 .* does not compute"):
        prove(mistral3, replace(ffn, layers=wrong))
