"""The batched pass against a loop over tokens, and what must not change its result."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from hneuro.contributions.cett import EPSILON, pooled_magnitude
from hneuro.contributions.extract import Prefix, extract
from hneuro.models import hooks
from hneuro.models.ffn import find_ffn
from hneuro.models.load import Loaded

LENGTHS = (9, 4, 17, 9, 6)
REGIONS = 2


def llama(dtype: torch.dtype = torch.float32, bias: bool = False) -> Loaded:
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, initializer_range=0.3, mlp_bias=bias, **sizes)).to(dtype).eval()
    model.requires_grad_(False)
    return Loaded(model, find_ffn(model))


def responses(lengths: tuple[int, ...] = LENGTHS) -> tuple[list[list[int]], list[NDArray[np.float32]]]:
    draw = np.random.default_rng(0)
    ids = [draw.integers(1, 64, size=n).tolist() for n in lengths]
    weights = [draw.dirichlet(np.ones(n), size=REGIONS).astype(np.float32) for n in lengths]
    return ids, weights


def naive(loaded: Loaded, ids: list[int], weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """CETT of one sequence by the formula of the paper, in float64, a token at a time."""
    pooled = np.zeros((len(weights), loaded.ffn.space.n_layers, loaded.ffn.space.width))

    def read(layer: int, z: torch.Tensor, h: torch.Tensor) -> None:
        columns = loaded.ffn.layers[layer].weight.double().norm(dim=0)
        for token in range(len(ids)):
            cett = z[0, token].double().abs() * columns / (h[0, token].double().norm() + EPSILON)
            pooled[:, layer] += weights[:, token, None] * cett.numpy()

    with torch.inference_mode(), hooks.observe(loaded.ffn, 1, read):
        loaded.model(input_ids=torch.tensor([ids]), use_cache=False)
    return pooled.reshape(len(weights), -1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-7)])
@pytest.mark.parametrize("token_budget", [1, 40, 10_000])
def test_equals_the_formula_in_any_batch(dtype: torch.dtype, tolerance: float, token_budget: int) -> None:
    """Batches of one, of two or three, and of all; results are kept in float32."""
    loaded = llama(dtype)
    ids, weights = responses()
    found = extract(loaded, ids, weights, token_budget)
    assert found.shape == (5, REGIONS, 120)
    for row, (sequence, weight) in enumerate(zip(ids, weights, strict=True)):
        expected = naive(loaded, sequence, weight)
        np.testing.assert_allclose(found[row], expected, rtol=tolerance, atol=tolerance * expected.mean())


@pytest.mark.parametrize("read_from", [0, 3, 12])
def test_a_beginning_in_common_is_read_once_where_no_region_has_it(read_from: int) -> None:
    loaded, head = llama(), list(range(1, 13))
    ids = [head + own for own in responses()[0]]
    weights = [np.pad(own, ((0, 0), (12, 0))) for own in responses()[1]]
    weights[1][:, read_from] += 0.5
    assert Prefix.of(loaded, ids, weights).length == (12 if read_from == 12 else 0)
    found = extract(loaded, ids, weights, token_budget=40)
    for n, values in enumerate(found):
        np.testing.assert_allclose(values, naive(loaded, ids[n], weights[n]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("first", [3, 2])
def test_nan_counts_only_where_a_region_is(first: int) -> None:
    """In the last layer, where no attention spreads it, from a position of the shortest sequence to its padding."""
    loaded = llama()
    ids, weights = responses()
    weights[1][:, -1] = 0.0  # its fourth position is of no region
    clean = extract(loaded, ids, weights, 10_000)

    def spoil(_: object, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        z = inputs[0].clone()
        z[0, first:] = torch.nan
        return (z,)

    loaded.ffn.layers[-1].module.register_forward_pre_hook(spoil)
    found = extract(loaded, ids, weights, 10_000)
    spoilt = np.isnan(found[1]).any()
    assert spoilt == (first == 2)
    rows = [0, 2, 3, 4] if spoilt else slice(None)
    np.testing.assert_allclose(found[rows], clean[rows], rtol=1e-6)


def test_left_padded_is_right_padded() -> None:
    """The place of the padding does not matter, so generated and measured positions are the same."""
    loaded = llama()
    ids, weights = responses()
    longest = max(LENGTHS)
    padded = torch.tensor([[0] * (longest - len(s)) + s for s in ids])
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in ids])
    pooling = torch.zeros(len(ids), REGIONS, longest)
    for row, weight in enumerate(weights):
        pooling[row, :, longest - weight.shape[1] :] = torch.from_numpy(weight)
    found: list[torch.Tensor] = []

    def read(layer: int, z: torch.Tensor, h: torch.Tensor) -> None:
        found.append(pooled_magnitude(z, h, pooling) * loaded.column_norms[layer])

    with torch.inference_mode(), hooks.observe(loaded.ffn, len(ids), read):
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        loaded.ffn.decoder(input_ids=padded, attention_mask=mask, position_ids=positions, use_cache=False)
    right = extract(loaded, ids, weights, 10_000)
    np.testing.assert_allclose(torch.cat(found, -1).numpy(), right, rtol=1e-4, atol=1e-5 * right.mean())


def test_weights_are_bit_identical_afterwards() -> None:
    loaded = llama()
    before = {name: p.clone() for name, p in loaded.model.named_parameters()}
    extract(loaded, *responses(), 100)
    assert not any(module._forward_hooks for module in loaded.model.modules())
    assert all(torch.equal(p, before[name]) for name, p in loaded.model.named_parameters())


def test_does_not_change_when_z_is_rescaled_against_w_down() -> None:
    """A neuron of half the activation and twice the column is the same neuron."""
    loaded = llama()
    ids, weights = responses()
    before = extract(loaded, ids, weights, 100)
    for projection in loaded.ffn.layers:
        projection.up_rows()[3:9] *= 0.5
        projection.down_rows()[3:9] *= 2.0
    after = extract(Loaded(loaded.model, loaded.ffn), ids, weights, 100)
    np.testing.assert_allclose(after, before, rtol=1e-6)


def test_does_not_change_when_a_whole_ffn_is_rescaled() -> None:
    """In the last layer, where nothing reads the output: CETT is a share of the output, not a size."""
    loaded = llama()
    ids, weights = responses()
    before = extract(loaded, ids, weights, 100)
    loaded.ffn.layers[-1].weight.mul_(8.0)
    after = extract(Loaded(loaded.model, loaded.ffn), ids, weights, 100)
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_all_neurons_of_a_layer_contribute_at_least_the_whole() -> None:
    """Without bias h is the sum of all columns times z, so by the triangle inequality the shares sum to 1 or more."""
    loaded = llama()
    totals = extract(loaded, *responses(), 100).reshape(len(LENGTHS), REGIONS, 3, 40).sum(axis=-1)
    assert (totals >= 1 - 1e-5).all()


def test_only_chosen_neurons_in_their_order() -> None:
    loaded = llama()
    ids, weights = responses()
    everything = extract(loaded, ids, weights, 100)
    np.testing.assert_array_equal(extract(loaded, ids, weights, 100, only=[77, 0, 119]), everything[..., [77, 0, 119]])


def test_a_fault_on_the_way_is_not_taken_for_the_end() -> None:
    loaded = llama()
    loaded.ffn.layers[1].module.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        extract(loaded, *responses(), 100)


def test_no_activation_outlives_its_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """z is [token, neuron]: kept for all layers, it would be larger than the model."""
    loaded = llama()
    alive: list[int] = []
    seen: list[weakref.ref[torch.Tensor]] = []
    observe = hooks.observe

    def spying(ffn: object, rows: int, read: hooks.Reader) -> object:
        def spy(layer: int, z: torch.Tensor, h: torch.Tensor) -> None:
            alive.append(sum(ref() is not None for ref in seen))
            seen.append(weakref.ref(z.untyped_storage()))
            read(layer, z, h)

        return observe(loaded.ffn, rows, spy)

    monkeypatch.setattr("hneuro.contributions.extract.observe", spying)
    extract(loaded, *responses(), 10_000)
    assert alive == [0, 0, 0]
