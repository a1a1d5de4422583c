"""Hooks measure and scale, and are gone afterwards."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hneuro.models.edits import UNTOUCHED, Edits, Treatment, edits, scaled
from hneuro.models.ffn import FFN, find_ffn
from hneuro.models.hooks import intervene, observe
from hneuro.neurons import NeuronSpace

IDS = torch.tensor([[5, 9, 11, 3, 30, 7], [8, 8, 12, 40, 2, 1]])


def logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=ids, use_cache=False).logits


def amounts_of(ffn: FFN, *rows: tuple[list[int], float]) -> Edits:
    return edits(ffn.space, [scaled(*row) for row in rows], "cpu", torch.float32)


def logits_at(model: Any, ffn: FFN, *rows: tuple[list[int], float], ids: torch.Tensor = IDS) -> torch.Tensor:
    with intervene(ffn, amounts_of(ffn, *rows)):
        return logits(model, ids)


def hook_count(model: Any) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_hooks_are_gone_after_an_exception_and_the_logits_are_bit_equal(dense: Any) -> None:
    ffn = find_ffn(dense)
    before, hooks = logits(dense), hook_count(dense)
    assert not torch.equal(logits_at(dense, ffn, ([0, 41], 3.0), ([0, 41], 3.0)), before)

    def reader(layer: int, z: torch.Tensor, h: torch.Tensor) -> None:
        raise ZeroDivisionError

    amounts = amounts_of(ffn, *[([0, 41], 3.0)] * 2)
    with pytest.raises(ZeroDivisionError), intervene(ffn, amounts), observe(ffn, 2, reader):
        logits(dense)
    assert hook_count(dense) == hooks
    assert torch.equal(logits(dense), before)


def test_alpha_one_registers_nothing(dense: Any) -> None:
    ffn = find_ffn(dense)
    hooks = hook_count(dense)
    amounts = amounts_of(ffn, ([3, 50], 1.0), ([], 1.0))
    with intervene(ffn, amounts):
        assert hook_count(dense) == hooks
    assert amounts.by_layer == {}
    with intervene(ffn, amounts_of(ffn, ([45, 46], 2.0))):
        assert hook_count(dense) == hooks + 1, "only layers with a scaled neuron are hooked"


@pytest.mark.parametrize("alpha", [0.0, 0.5, 3.0])
def test_scaling_z_is_scaling_the_columns_of_w_down(dense: Any, alpha: float) -> None:
    """Paper, section 4. The same with alpha a power of two bit for bit, otherwise to the rounding of one product."""
    ffn = find_ffn(dense)
    neurons = [0, 13, 39, 40, 85, 119]
    hooked = logits_at(dense, ffn, (neurons, alpha), (neurons, alpha))
    before = logits(dense)
    for layer, indices in ffn.space.by_layer(neurons).items():
        ffn.layers[layer].down_rows()[indices] *= alpha
    edited = logits(dense)
    assert not torch.allclose(edited, before, atol=1e-4)
    assert torch.allclose(hooked, edited, rtol=1e-5, atol=1e-5)
    if alpha in (0.0, 0.5):
        assert torch.equal(hooked, edited)


def test_rows_of_one_batch_have_their_own_alpha_and_neurons(dense: Any) -> None:
    """Each row as it is alone, and a row at alpha 1 bit-equal to the untouched model."""
    ffn = find_ffn(dense)
    same = IDS[:1].expand(3, -1)
    plain = logits(dense, same)
    mixed = logits_at(dense, ffn, ([1, 90], 0.0), ([1, 90], 1.0), ([44], 3.0), ids=same)
    assert torch.equal(mixed[1], plain[1])
    assert torch.allclose(mixed[0], logits_at(dense, ffn, ([1, 90], 0.0), ids=same[:1])[0], atol=1e-5)
    assert torch.allclose(mixed[2], logits_at(dense, ffn, ([44], 3.0), ids=same[:1])[0], atol=1e-5)
    assert not torch.allclose(mixed[0], mixed[2], atol=1e-3)


def test_a_gradient_flows_through_scaled_neurons(dense: Any) -> None:
    """In place only where no gradient is wanted."""
    ffn = find_ffn(dense)
    dense.requires_grad_(True)
    with intervene(ffn, amounts_of(ffn, *[([2], 3.0)] * 2)):
        dense(input_ids=IDS, use_cache=False).logits.sum().backward()
    assert torch.isfinite(ffn.layers[0].weight.grad).all()


def test_edits_name_each_layer_and_refuse_unknown_neurons() -> None:
    space = NeuronSpace(n_layers=2, width=4)
    amounts = edits(space, [scaled([6, 1, 6], 2.0), scaled([1], 1.0), scaled([5], 0.0)], "cpu", torch.float32).by_layer
    assert amounts[0].indices.tolist() == [1]
    assert amounts[0].factors.tolist() == [[2.0], [1.0], [1.0]]
    assert amounts[1].indices.tolist() == [1, 2]
    assert amounts[1].factors.tolist() == [[1.0, 2.0], [1.0, 1.0], [0.0, 1.0]]
    with pytest.raises(IndexError, match="neuron 8 is outside 8 neurons"):
        edits(space, [scaled([8], 2.0)], "cpu", torch.float32)


def first_z(model: Any, ffn: FFN, *treatments: Treatment) -> torch.Tensor:
    """z [row, token, neuron] of layer 0, as its down projection gets it, of one prompt under each treatment."""
    seen: list[torch.Tensor] = []
    changes = edits(ffn.space, treatments, "cpu", torch.float32)
    with intervene(ffn, changes), observe(ffn, len(treatments), lambda layer, z, _: seen.append(z.clone())):
        logits(model, IDS[:1].expand(len(treatments), -1))
    return seen[0]


def test_other_treatments_of_a_row_do_what_they_say(dense: Any) -> None:
    """Towards a value, or scaled; rows of one batch do not touch each other."""
    ffn, neurons = find_ffn(dense), (3, 17)
    plain = first_z(dense, ffn, UNTOUCHED)[0]
    z = first_z(
        dense,
        ffn,
        Treatment(neurons=neurons, alpha=0.25, kind="mean", values=(0.5, -2.0)),
        scaled(neurons, 3.0),
        UNTOUCHED,
    )
    torch.testing.assert_close(z[0, :, 3], 0.25 * plain[:, 3] + 0.75 * 0.5)
    torch.testing.assert_close(z[0, :, 17], 0.25 * plain[:, 17] - 0.75 * 2.0)
    torch.testing.assert_close(z[1][:, list(neurons)], 3 * plain[:, list(neurons)])
    torch.testing.assert_close(z[2], plain)
    others = [n for n in range(plain.shape[1]) if n not in neurons]
    torch.testing.assert_close(z[:2, :, others], plain[:, others].expand(2, -1, -1))
