"""Mixtures of experts, with shared ones, and layers of any shape: found, left as they are, and CETT by its formula."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hneuro.codec import from_plain, to_plain
from hneuro.contributions.cett import EPSILON
from hneuro.contributions.extract import extract
from hneuro.models.edits import UNTOUCHED, edits, scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import intervene, observe
from hneuro.models.load import Loaded, prove
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.generate import Job, generate

PROMPTS = ((1, 9, 30, 12), (1, 40, 7, 7, 21, 33, 8, 19, 4), (1, 5))
TOKENS = torch.tensor([PROMPTS[1]])


def hook_count(model: Any) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_neurons_are_found_proven_and_numbered_and_the_model_is_left_as_it_is(mixture: Any) -> None:
    before, hooks = mixture(input_ids=TOKENS).logits, hook_count(mixture)
    ffn = find_ffn(mixture)
    prove(mixture, ffn)
    assert hook_count(mixture) == hooks
    assert torch.allclose(mixture(input_ids=TOKENS).logits, before, atol=1e-5)
    plain = type(mixture)(mixture.config)
    assert {name for name, _ in mixture.named_parameters()} == {name for name, _ in plain.named_parameters()}
    space = ffn.space
    assert space.size == sum(len(layer.column_norms()) for layer in ffn.layers)
    assert [space.flat(*space.locate(n)) for n in range(space.size)] == list(range(space.size))
    assert len({space.address(n) for n in range(space.size)}) == space.size
    assert from_plain(NeuronSpace, json.loads(json.dumps(to_plain(space)))) == space


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "gpt_oss"])
def test_a_neuron_belongs_to_its_expert(layout: Callable[[str], Any], name: str) -> None:
    ffn = find_ffn(layout(name))
    each = ffn.layers[0].shape[1]
    assert ffn.space == NeuronSpace(n_layers=3, width=4 * each, experts=4)
    assert ffn.space.address(ffn.space.flat(2, 3 * each)) == (2, 3, 0)
    assert ffn.space.address(ffn.space.flat(1, 3 * each - 1)) == (1, 2, each - 1)
    projection = ffn.layers[1]
    before, inside = projection.up_rows().clone(), projection.experts
    up = inside.gate_up_proj[2] if inside.is_transposed else inside.gate_up_proj[2].T
    (up[:, each:] if inside.is_concatenated else up[:, 1::2])[:, 3].mul_(2.0)
    changed = (projection.up_rows() != before).any(dim=1).nonzero().flatten().tolist()
    assert changed == [2 * each + 3]


def parts_of(layer: nn.Module) -> tuple[nn.Module, list[nn.Module], list[nn.Module]]:
    """The module whose output is that of a layer's FFN, its experts and its plain down projections."""
    ffn = layer.mlp if hasattr(layer, "mlp") else layer.feed_forward
    experts = [m for m in ffn.modules() if type(m).__name__.endswith("Experts")]
    return ffn, experts, [m for n, m in ffn.named_modules() if n.endswith("down_proj") and isinstance(m, nn.Linear)]


def columns_of(experts: Any, expert: int) -> Tensor:
    """W_down of one expert: [neuron, hidden], a view."""
    weight: Tensor = experts.down_proj[expert]
    return weight if experts.is_transposed else weight.T


def by_hand(model: Any, ids: tuple[int, ...]) -> np.ndarray:
    """Mean CETT [neuron] of a sequence: each neuron as it reaches the output of its layer's whole FFN."""
    found: dict[nn.Module, tuple[Any, Any]] = {}
    kept = [m.register_forward_hook(lambda m, i, o: found.__setitem__(m, (i, o))) for m in model.modules()]
    with torch.no_grad():
        model(input_ids=torch.tensor([ids]), use_cache=False)
    for hook in kept:
        hook.remove()
    layers = []
    for layer in model.model.layers:
        ffn, mixtures, downs = parts_of(layer)
        out = found[ffn][1]
        h, shares = (out[0] if isinstance(out, tuple) else out).view(len(ids), -1), []
        for inside in mixtures:
            (x, index, weight), _ = found[inside]
            here = torch.zeros(len(ids), inside.num_experts, len(columns_of(inside, 0)))
            for token in range(len(ids)):
                for place, expert in enumerate(index[token].tolist()):
                    up = inside.gate_up_proj[expert]
                    bias = inside.gate_up_proj_bias[expert] if inside.has_bias else 0.0
                    z = inside._apply_gate(x[token] @ (up if inside.is_transposed else up.T) + bias)
                    here[token, expert] = (weight[token, place] * z).abs() * columns_of(inside, expert).norm(dim=1)
            shares.append(here.flatten(1))
        for down in downs:
            z = found[down][0][0].view(len(ids), -1)
            gate = getattr(ffn, "shared_expert_gate", None)
            z = z if gate is None else z * torch.sigmoid(found[gate][1]).view(-1, 1)
            shares.append(z.abs() * down.weight.norm(dim=0))
        layers.append((torch.cat(shares, dim=1) / (h.norm(dim=1, keepdim=True) + EPSILON)).mean(0))
    return torch.cat(layers).numpy()


def test_contributions_are_those_of_the_formula_in_whatever_batch(mixture: Any) -> None:
    """Neuron by neuron, measured by the sum of all that is added up; alone and padded in a batch."""
    expected = [by_hand(mixture, ids) for ids in PROMPTS]
    loaded = Loaded(mixture, find_ffn(mixture))
    weights = [np.full((1, len(ids)), 1 / len(ids), dtype=np.float32) for ids in PROMPTS]
    for row, own in zip(extract(loaded, PROMPTS, weights, token_budget=1000), expected, strict=True):
        np.testing.assert_allclose(row[0], own, rtol=1e-3, atol=1e-5 * own.mean())


def test_the_last_token_alone_is_read_as_all_of_them_are(mixture: Any) -> None:
    seen: dict[bool, list[Tensor]] = {}
    for last in (False, True):
        ffn, found = find_ffn(mixture), seen.setdefault(last, [])
        with (
            torch.no_grad(),
            observe(ffn, 2, lambda _, z, h, found=found: found.extend([z.clone(), h.clone()]), last=last),
        ):
            mixture(input_ids=torch.tensor([PROMPTS[1], PROMPTS[1][::-1]]))
    assert seen[True]
    for one, every in zip(seen[True], seen[False], strict=True):
        assert torch.equal(one, every[:, -1:])


@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_scaling_a_neuron_is_scaling_its_column(mixture: Any, alpha: float) -> None:
    """The first and the last of every layer, which are an expert's and the shared one's, and one in the middle."""
    ffn = find_ffn(mixture)
    chosen = [n for a, b in pairwise(ffn.space.starts) for n in (a, (a + b) // 2, b - 1)]
    plain = mixture(input_ids=TOKENS).logits
    amounts = edits(ffn.space, [UNTOUCHED, scaled(chosen, alpha)], "cpu", torch.float32)
    with torch.no_grad(), intervene(ffn, amounts):
        hooked = mixture(input_ids=TOKENS.expand(2, -1)).logits
    assert torch.equal(mixture(input_ids=TOKENS).logits, plain), "the hooks are gone"
    assert torch.allclose(hooked[:1], plain, atol=1e-5)
    for neuron in chosen:
        layer, expert, index = ffn.space.address(neuron)
        _, mixtures, downs = parts_of(mixture.model.layers[layer])
        (downs[0].weight.T if expert is None else columns_of(mixtures[0], expert))[index].mul_(alpha)
    edited = mixture(input_ids=TOKENS).logits
    assert not torch.allclose(edited, plain, atol=1e-4)
    assert torch.allclose(hooked[1:], edited, atol=1e-4)


def test_rows_lie_where_their_neurons_do(mixture: Any) -> None:
    for layer in find_ffn(mixture).layers:
        down, up, gate = layer.down_rows(), layer.up_rows(), layer.gate_rows()
        assert gate is not None
        assert len(down) == len(up) == len(gate) == layer.width
        assert torch.allclose(layer.column_norms(), down.norm(dim=1))
        assert not torch.equal(up, gate)


def test_sampled_and_scaled_rows_do_not_depend_on_their_batch(mixture: Any) -> None:
    loaded = Loaded(mixture, find_ffn(mixture))
    mixture.generation_config.eos_token_id = None
    last = loaded.ffn.space.size - 1
    jobs = [Job(p, seed=f"{n}", treatment=scaled((0, 3, last), (1.0, 3.0, 0.0)[n])) for n, p in enumerate(PROMPTS)]
    together = generate(loaded, 0, jobs, Decoding(max_new_tokens=6))
    alone = [generate(loaded, 0, [job], Decoding(max_new_tokens=6))[0] for job in jobs]
    assert [g.token_ids for g in together] == [g.token_ids for g in alone]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("granite_moe_shared", r"^layer 0 adds up experts .* and shared_mlp.output_linear in a way that is not"),
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
