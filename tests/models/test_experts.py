"""Mixtures of experts: their neurons are found, what they compute is untouched, and CETT is what its formula says."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from hneuro.codec import from_plain, to_plain
from hneuro.contributions.cett import EPSILON
from hneuro.contributions.extract import extract
from hneuro.models.edits import UNTOUCHED, edits, scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import intervene
from hneuro.models.load import Loaded, prove
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

PROMPTS = ((1, 9, 30, 12), (1, 40, 7, 7, 21, 33, 8, 19, 4), (1, 5))
TOKENS = torch.tensor([PROMPTS[1]])


def test_neurons_are_found_and_proven_and_belong_to_an_expert(experts: Any) -> None:
    ffn = find_ffn(experts)
    each = ffn.layers[0].experts.gate_up_proj.shape[2 if ffn.layers[0].experts.is_transposed else 1] // 2
    assert ffn.space == NeuronSpace(n_layers=3, width=4 * each, experts=4)
    assert ffn.space.address(ffn.space.flat(2, 3 * each)) == (2, 3, 0)
    assert ffn.space.address(ffn.space.flat(1, 3 * each - 1)) == (1, 2, each - 1)
    prove(experts, ffn)


def test_what_the_model_computes_stays(experts: Any) -> None:
    before = experts(input_ids=TOKENS).logits
    find_ffn(experts)
    assert torch.allclose(experts(input_ids=TOKENS).logits, before, atol=1e-5)
    assert {name for name, _ in experts.named_parameters()} == {name for name, _ in build_like(experts)}


def build_like(model: Any) -> Any:
    return type(model)(model.config).named_parameters()


def by_hand(model: Any, ids: tuple[int, ...]) -> np.ndarray:
    """Mean CETT [neuron] of a sequence, expert by expert and token by token, from the inputs of the experts."""
    seen: list[tuple[Any, tuple[Any, ...], Any]] = []
    kept = [
        module.register_forward_hook(lambda module, inputs, output: seen.append((module, inputs, output)))
        for module in model.modules()
        if type(module).__name__.endswith("Experts")
    ]
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]), use_cache=False)
    for hook in kept:
        hook.remove()
    layers = []
    for module, (x, index, weight), h in seen:
        shares = []
        for token in range(len(ids)):
            size = h[token].norm() + EPSILON
            here = torch.zeros(module.num_experts, module.down_proj.shape[1 if module.is_transposed else 2])
            for place, expert in enumerate(index[token].tolist()):
                up, down = module.gate_up_proj[expert], module.down_proj[expert]
                up, down = (up, down) if module.is_transposed else (up.T, down.T)
                bias = module.gate_up_proj_bias[expert] if module.has_bias else 0.0
                z = module._apply_gate(x[token] @ up + bias)
                here[expert] = (weight[token, place] * z).abs() * down.norm(dim=1) / size
            shares.append(here.flatten())
        layers.append(torch.stack(shares).mean(0))
    return torch.cat(layers).numpy()


def test_contributions_are_those_of_the_formula_in_whatever_batch(experts: Any) -> None:
    expected = [by_hand(experts, ids) for ids in PROMPTS]
    loaded = Loaded(experts, find_ffn(experts))
    weights = [np.full((1, len(ids)), 1 / len(ids), dtype=np.float32) for ids in PROMPTS]
    for row, own in zip(extract(loaded, PROMPTS, weights, token_budget=1000), expected, strict=True):
        np.testing.assert_allclose(row[0], own, rtol=1e-4, atol=1e-6 * own.mean())


@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_scaling_a_neuron_is_scaling_its_column(experts: Any, alpha: float) -> None:
    ffn = find_ffn(experts)
    chosen = [ffn.space.flat(layer, index) for layer in (0, 2) for index in (1, 9, ffn.space.width - 1)]
    plain = experts(input_ids=TOKENS).logits
    amounts = edits(ffn.space, [UNTOUCHED, scaled(chosen, alpha)], "cpu", torch.float32)
    with torch.no_grad(), intervene(ffn, amounts):
        hooked = experts(input_ids=TOKENS.expand(2, -1)).logits
    assert torch.equal(experts(input_ids=TOKENS).logits, plain), "the hooks are gone"
    assert torch.allclose(hooked[:1], plain, atol=1e-5)
    for layer, indices in ffn.space.by_layer(chosen).items():
        projection = ffn.layers[layer]
        each = projection.width // projection.count
        for index in indices:
            down = projection.weight[index // each]
            (down[index % each] if projection.experts.is_transposed else down[:, index % each]).mul_(alpha)
    edited = experts(input_ids=TOKENS).logits
    assert not torch.allclose(edited, plain, atol=1e-4)
    assert torch.allclose(hooked[1:], edited, atol=1e-5)


def test_up_rows_and_norms_are_those_of_each_expert(experts: Any) -> None:
    projection = find_ffn(experts).layers[1]
    down = projection.down_rows()
    assert torch.allclose(projection.column_norms(), down.norm(dim=1))
    before = projection.up_rows().clone()
    assert before.shape == down.shape
    inside = projection.experts
    up = inside.gate_up_proj[2] if inside.is_transposed else inside.gate_up_proj[2].T
    row = projection.width // 4
    (up[:, row:] if inside.is_concatenated else up[:, 1::2])[:, 3].mul_(2.0)
    changed = (projection.up_rows() != before).any(dim=1).nonzero().flatten().tolist()
    assert changed == [2 * row + 3]


def test_sampled_rows_do_not_depend_on_their_batch(experts: Any) -> None:
    loaded = Loaded(experts, find_ffn(experts))
    experts.generation_config.eos_token_id = None
    jobs = [Job(p, seed=f"{n}", treatment=scaled((0, 3, 40), (1.0, 3.0, 0.0)[n])) for n, p in enumerate(PROMPTS)]
    together = generate(loaded, 0, jobs, Decoding(max_new_tokens=6))
    alone = [generate(loaded, 0, [job], Decoding(max_new_tokens=6))[0] for job in jobs]
    assert [g.token_ids for g in together] == [g.token_ids for g in alone]


def linear_parts(layer: torch.nn.Module) -> tuple[torch.nn.Module, list[torch.nn.Module]]:
    """The module whose output is that of a layer's FFN, and its plain down projections."""
    ffn = layer.mlp if hasattr(layer, "mlp") else layer.feed_forward
    return ffn, [m for n, m in ffn.named_modules() if n.endswith("down_proj")]


def by_hand_of_all(model: Any, ids: tuple[int, ...]) -> np.ndarray:
    """Mean CETT [neuron] of a sequence: each neuron as it reaches the output of its layer's whole FFN."""
    found: dict[torch.nn.Module, tuple[Any, Any]] = {}
    kept = [m.register_forward_hook(lambda m, i, o: found.__setitem__(m, (i, o))) for m in model.modules()]
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]), use_cache=False)
    for hook in kept:
        hook.remove()
    layers = []
    for layer in model.model.layers:
        ffn, downs = linear_parts(layer)
        h = found[ffn][1].view(len(ids), -1)
        shares = []
        for inside in (m for m in ffn.modules() if type(m).__name__.endswith("Experts")):
            (x, index, weight), _ = found[inside]
            here = torch.zeros(len(ids), inside.num_experts, inside.down_proj.shape[2])
            for token in range(len(ids)):
                for place, expert in enumerate(index[token].tolist()):
                    z = inside._apply_gate(x[token] @ inside.gate_up_proj[expert].T)
                    here[token, expert] = (weight[token, place] * z).abs() * inside.down_proj[expert].norm(dim=0)
            shares.append(here.flatten(1))
        for down in downs:
            z = found[down][0][0].view(len(ids), -1)
            gate = getattr(ffn, "shared_expert_gate", None)
            z = z if gate is None else z * torch.sigmoid(found[gate][1]).view(-1, 1)
            shares.append(z.abs() * down.weight.norm(dim=0))
        layers.append((torch.cat(shares, dim=1) / (h.norm(dim=1, keepdim=True) + EPSILON)).mean(0))
    return torch.cat(layers).numpy()


def test_layers_of_any_shape_are_found_proven_and_left_as_they_are(ragged: Any) -> None:
    before = ragged(input_ids=TOKENS).logits
    ffn = find_ffn(ragged)
    prove(ragged, ffn)
    assert torch.allclose(ragged(input_ids=TOKENS).logits, before, atol=1e-5)
    assert {name for name, _ in ragged.named_parameters()} == {name for name, _ in build_like(ragged)}
    assert len(ffn.space.layers) == 3
    assert ffn.space.size == sum(len(layer.column_norms()) for layer in ffn.layers)
    assert [ffn.space.flat(*ffn.space.locate(n)) for n in range(ffn.space.size)] == list(range(ffn.space.size))
    addresses = [ffn.space.address(n) for n in range(ffn.space.size)]
    assert len({*addresses}) == ffn.space.size
    assert from_plain(NeuronSpace, json.loads(json.dumps(to_plain(ffn.space)))) == ffn.space


def test_contributions_to_a_sum_are_measured_by_the_sum(ragged: Any) -> None:
    """By the formula, neuron by neuron; alone and padded in a batch."""
    expected = [by_hand_of_all(ragged, ids) for ids in PROMPTS]
    loaded = Loaded(ragged, find_ffn(ragged))
    weights = [np.full((1, len(ids)), 1 / len(ids), dtype=np.float32) for ids in PROMPTS]
    for row, own in zip(extract(loaded, PROMPTS, weights, token_budget=1000), expected, strict=True):
        np.testing.assert_allclose(row[0], own, rtol=1e-3, atol=1e-5 * own.mean())


@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_scaling_any_neuron_is_scaling_its_column(ragged: Any, alpha: float) -> None:
    """The first and the last of every layer, which are an expert's and the shared one's, and one in the middle."""
    ffn = find_ffn(ragged)
    starts = ffn.space.starts
    chosen = [n for a, b in pairwise(starts) for n in (a, (a + b) // 2, b - 1)]
    plain = ragged(input_ids=TOKENS).logits
    amounts = edits(ffn.space, [UNTOUCHED, scaled(chosen, alpha)], "cpu", torch.float32)
    with torch.no_grad(), intervene(ffn, amounts):
        hooked = ragged(input_ids=TOKENS.expand(2, -1)).logits
    assert torch.equal(ragged(input_ids=TOKENS).logits, plain), "the hooks are gone"
    assert torch.allclose(hooked[:1], plain, atol=1e-5)
    for neuron in chosen:
        layer, expert, index = ffn.space.address(neuron)
        block, downs = linear_parts(ragged.model.layers[layer])
        if expert is None:
            downs[0].weight[:, index].mul_(alpha)
        else:
            block.experts.down_proj[expert][:, index].mul_(alpha)
    edited = ragged(input_ids=TOKENS).logits
    assert not torch.allclose(edited, plain, atol=1e-4)
    assert torch.allclose(hooked[1:], edited, atol=1e-4)


def test_rows_of_layers_of_any_shape_lie_where_their_neurons_do(ragged: Any) -> None:
    for layer in find_ffn(ragged).layers:
        down, up, gate = layer.down_rows(), layer.up_rows(), layer.gate_rows()
        assert gate is not None
        assert len(down) == len(up) == len(gate) == layer.width
        assert torch.allclose(layer.column_norms(), down.norm(dim=1))
        assert not torch.equal(up, gate)


def test_scaled_rows_of_any_shape_do_not_depend_on_their_batch(ragged: Any) -> None:
    loaded = Loaded(ragged, find_ffn(ragged))
    ragged.generation_config.eos_token_id = None
    last = loaded.ffn.space.size - 1
    jobs = [Job(p, seed=f"{n}", treatment=scaled((0, 3, last), (1.0, 3.0, 0.0)[n])) for n, p in enumerate(PROMPTS)]
    together = generate(loaded, 0, jobs, Decoding(max_new_tokens=6))
    alone = [generate(loaded, 0, [job], Decoding(max_new_tokens=6))[0] for job in jobs]
    assert [g.token_ids for g in together] == [g.token_ids for g in alone]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "granite_moe_shared",
            r"^layer 0 adds up experts .* and shared_mlp.output_linear in a way that is not supported",
        ),
        ("llama4", r"is a mixture of experts whose neurons cannot be reached \(Llama4TextExperts\)"),
    ],
)
def test_other_mixtures_are_refused_in_one_line(layout: Callable[[str], Any], name: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        find_ffn(layout(name))


def test_experts_without_plain_weights_are_refused(layout: Callable[[str], Any]) -> None:
    model = layout("mixtral")
    inside = model.model.layers[1].mlp.experts
    del inside.down_proj
    inside.down_proj = torch.nn.Parameter(torch.zeros(4, 16, 20, dtype=torch.uint8), requires_grad=False)
    with pytest.raises(UserError, match=r"^layer 1 is a mixture of experts whose neurons cannot be reached"):
        find_ffn(model)
