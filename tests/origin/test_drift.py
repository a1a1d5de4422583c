"""Parameter drift on models whose changes are known."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from hneuro.models.ffn import find_ffn
from hneuro.neurons import HNeurons, NeuronSpace
from hneuro.origin.drift import distances, drift_row, drift_rows, ranks_of

LAYERS, WIDTH = 2, 24


def llama(width: int = WIDTH) -> Any:
    config = LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=width, num_hidden_layers=LAYERS, num_attention_heads=2
    )
    return LlamaForCausalLM(config)


def phi3() -> Any:
    config = Phi3Config(
        vocab_size=32,
        hidden_size=16,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return Phi3ForCausalLM(config)


def gpt2() -> Any:
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=32, n_embd=16, n_inner=WIDTH, n_layer=LAYERS, n_head=2, bos_token_id=1, eos_token_id=2)
    )


def up_and_down(model: Any, layer: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Views of one neuron's up row and down column, written out for each architecture (not by the code under test)."""
    if isinstance(model, GPT2LMHeadModel):  # Conv1D keeps [in, out]
        mlp = model.transformer.h[layer].mlp
        return mlp.c_fc.weight[:, index], mlp.c_proj.weight[index, :]
    mlp = model.model.layers[layer].mlp
    if isinstance(model, Phi3ForCausalLM):  # gate rows first, then up rows
        return mlp.gate_up_proj.weight[WIDTH + index], mlp.down_proj.weight[:, index]
    return mlp.up_proj.weight[index], mlp.down_proj.weight[:, index]


@pytest.mark.parametrize("make", [llama, phi3, gpt2])
def test_ranks_follow_the_size_of_known_changes(make: Any) -> None:
    """Orientation matters: rows of a fused projection, and Conv1D's transposed weights."""
    torch.manual_seed(0)
    base = make()
    chat = copy.deepcopy(base)
    draw = torch.Generator().manual_seed(1)
    order = torch.randperm(LAYERS * WIDTH, generator=draw).tolist()  # order[0] changes least
    with torch.no_grad():
        for place, neuron in enumerate(order):
            for part in up_and_down(chat, *divmod(neuron, WIDTH)):
                away = torch.randn(part.shape, generator=draw)
                away -= (away @ part) / (part @ part) * part
                part += 0.02 * (place + 1) * part.norm() * away / away.norm()  # turns it by atan(0.02 (place + 1))
    ranks = ranks_of(distances(find_ffn(chat), find_ffn(base)))[0]
    assert ranks.shape == (LAYERS * WIDTH,)
    assert np.argsort(-ranks).tolist() == order
    assert (ranks.min(), ranks.max()) == (0.0, 1.0)


def test_up_and_down_count_alike() -> None:
    """Each distance is z-scored over all neurons before the two are averaged."""
    torch.manual_seed(0)
    base = llama()
    chat = copy.deepcopy(base)
    with torch.no_grad():
        for p in chat.parameters():
            p += 0.1 * p.std() * torch.randn_like(p)
    distance = np.empty((LAYERS * WIDTH, 2))
    for neuron in range(LAYERS * WIDTH):
        pairs = zip(up_and_down(chat, *divmod(neuron, WIDTH)), up_and_down(base, *divmod(neuron, WIDTH)), strict=True)
        distance[neuron] = [1 - torch.cosine_similarity(a.double(), b.double(), dim=0).item() for a, b in pairs]
    drift = stats.zscore(distance).mean(1)
    expected = (stats.rankdata(-drift) - 1) / (len(drift) - 1)
    np.testing.assert_allclose(ranks_of(distances(find_ffn(chat), find_ffn(base)))[0], expected)


def h_neurons(*neurons: int) -> HNeurons:
    space = NeuronSpace(n_layers=1, width=101)
    return HNeurons(neurons=neurons, weights=tuple(1.0 for _ in neurons), space=space, selection="l1")


RANKS = np.linspace(0, 1, 101)


def test_p_is_small_where_the_h_neurons_changed_less() -> None:
    """The paper's direction: rank 1 is what changed least, and the test is one-sided."""
    stable, moved = drift_row(RANKS, h_neurons(90, 95, 99, 93)), drift_row(RANKS, h_neurons(10, 5, 1, 7))
    assert stable.value == pytest.approx(0.9425)
    assert stable.p_value < 0.001
    assert moved.p_value > 0.999
    own = RANKS[[90, 95, 99, 93]]
    t = (own.mean() - 0.5) / (own.std(ddof=1) / 2)
    assert stable.p_value == pytest.approx(stats.t.sf(t, 3))
    half = stats.t.ppf(0.975, 3) * own.std(ddof=1) / 2
    assert (stable.low, stable.high) == pytest.approx((own.mean() - half, own.mean() + half))
    assert stable.n == 4


@pytest.mark.parametrize("neurons", [(), (50,), (50, 50)])
def test_too_little_for_a_test_says_so(neurons: tuple[int, ...]) -> None:
    row = drift_row(RANKS, h_neurons(*neurons))
    assert row.p_value is None
    assert row.low is None
    assert "too few" in row.note


def test_neurons_that_only_follow_their_layer_are_told_apart() -> None:
    """Layer 1 changed less than layer 0 as a whole: its neurons are high, and no higher than any others of it."""
    draw = np.random.default_rng(0)
    moved = np.concatenate([draw.uniform(0.5, 1, 100), draw.uniform(0, 0.5, 100)])
    space = NeuronSpace(n_layers=2, width=100)
    chosen = HNeurons(neurons=(110, 120, 130, 150), weights=(1.0,) * 4, space=space, selection="l1")
    lines = np.stack([moved, moved, np.full(200, np.nan)])
    rows = {(r.metric, r.condition): r for r in drift_rows(lines, chosen, seed=0)}
    measures = {f"drift_{name}{kind}" for name in ("rank", "z", "distance") for kind in ("", "_up", "_down")}
    assert {metric for metric, _ in rows} == measures, "there is no gate"
    own, matched = rows["drift_rank", "h_neurons"], rows["drift_rank", "h_neurons/layer_matched"]
    assert own.p_value is not None
    assert own.p_value < 0.05
    assert matched.p_value is not None
    assert 0.05 < matched.p_value < 0.95
    assert matched.value == pytest.approx(ranks_of(lines)[0, 100:].mean(), abs=0.02)
    layer = moved[100:]
    z = rows["drift_z", "h_neurons"]
    assert z.value == pytest.approx(((layer[[10, 20, 30, 50]] - layer.mean()) / layer.std()).mean())
    assert z.low is not None
    assert z.low < z.value
    assert z.p_value == rows["drift_distance", "h_neurons"].p_value, "in one layer both order the sets alike"
    assert rows["drift_z", "h_neurons/layer_matched"].value == pytest.approx(0, abs=0.05)
    assert rows["drift_distance_up", "h_neurons"].value == pytest.approx(layer[[10, 20, 30, 50]].mean())
    still = tuple(100 + np.argsort(layer)[:4])
    apart = drift_rows(lines, HNeurons(neurons=still, weights=(1.0,) * 4, space=space, selection="l1"), seed=0)
    for row in apart:
        if row.metric in ("drift_z", "drift_distance") or row.condition == "h_neurons/layer_matched":
            assert row.p_value is not None
            assert row.p_value < 0.01, (row.metric, row.condition)
