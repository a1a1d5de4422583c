"""The first-order effect of every neuron's gain is the derivative: by autograd, and by finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from hneuro.causal.attribution import effects
from hneuro.models.edits import UNTOUCHED, Treatment, edits, scaled
from hneuro.models.ffn import find_ffn
from hneuro.models.hooks import attribute, intervene
from hneuro.models.load import Loaded
from hneuro.records import UserError
from hneuro.responses.contest import Contest, log_odds

Asked = tuple[tuple[int, ...], Contest]
ASKED: tuple[Asked, ...] = (
    ((1, 9, 30, 12), Contest(((7, 21, 33),), ((7, 8, 19),))),
    ((1, 40, 7, 7, 21, 33, 8, 19, 4), Contest(((5,),), ((6, 11),))),
    ((1, 5, 13), Contest(((20, 31), (22, 9)), ((23,),))),
)
LAYOUTS = ("llama", "llama_with_bias", "gemma3", "gpt2", "opt", "falcon", "gpt_neox")
MIXTURES = ("mixtral", "qwen3_moe_first_layer_dense", "gpt_oss", "qwen2_moe", "deepseek_v3", "gemma3n")
NEURONS = (0, 13, 31)  # of every layer
STEP = 2.0**-8


@pytest.fixture(params=(*LAYOUTS, *MIXTURES))
def loaded(request: pytest.FixtureRequest, layout: Callable[[str], Any]) -> Loaded:
    """In float64, with biases that are not 0."""
    model = layout(request.param).double()
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            weight.normal_(std=0.2)
    return Loaded(model, find_ffn(model))


def difference(loaded: Loaded, asked: Asked, treatments: Sequence[Treatment] = (UNTOUCHED,)) -> torch.Tensor:
    """The log-odds [treatment] by the whole model, one continuation after the other."""
    prompt, contest = asked
    read = []
    for side in contest.sides:
        ids = torch.tensor([[*prompt, *side]]).expand(len(treatments), -1)
        with intervene(loaded.ffn, edits(loaded.ffn.space, treatments, "cpu", torch.float64)):
            logits = loaded.model(input_ids=ids, use_cache=False).logits
        logprobs = logits[:, len(prompt) - 1 : -1].log_softmax(-1)
        read.append(logprobs[:, range(len(side)), list(side)][:, contest.shared :])
    return torch.stack([log_odds(contest, row) for row in zip(*read, strict=True)])


def some(loaded: Loaded) -> list[int]:
    return [start + index for start in loaded.ffn.space.starts[:-1] for index in NEURONS]


def test_effects_are_finite_differences_on_every_layout(loaded: Loaded) -> None:
    found = effects(loaded, ASKED, token_budget=1000)
    assert found.shape == (len(ASKED), loaded.ffn.space.size)
    chosen = some(loaded)
    # Norms compute in float32 whatever the model does: a larger step, and what it adds taken off.
    treatments = [scaled([n], 1 + k * STEP) for k in (-2, -1, 1, 2) for n in chosen]
    with torch.no_grad():
        far, near, near_up, far_up = (
            torch.stack([difference(loaded, asked, treatments) for asked in ASKED]).view(len(ASKED), 4, -1).unbind(1)
        )
    true = (far - 8 * near + 8 * near_up - far_up) / (12 * STEP)
    assert true.abs().max() > 1e-2
    np.testing.assert_allclose(found[:, chosen], true, rtol=1e-3, atol=1e-4)


def test_effects_are_those_of_autograd_by_hand(layout: Callable[[str], Any]) -> None:
    """The gradient to a vector of gains of each layer, which a plain hook multiplies in; of all neurons."""
    model = layout("llama_with_bias").double()
    loaded = Loaded(model, find_ffn(model))
    gains = [torch.ones(40, dtype=torch.float64, requires_grad=True) for _ in loaded.ffn.layers]
    handles = [
        projection.module.register_forward_pre_hook(lambda _, inputs, gain=gain: (inputs[0] * gain,))
        for projection, gain in zip(loaded.ffn.layers, gains, strict=True)
    ]
    by_hand = [torch.cat(torch.autograd.grad(difference(loaded, asked)[0], gains)).numpy() for asked in ASKED]
    for handle in handles:
        handle.remove()
    np.testing.assert_allclose(effects(loaded, ASKED, token_budget=1000), by_hand, rtol=1e-5, atol=1e-8)


def test_effects_do_not_depend_on_who_shares_the_batch(loaded: Loaded) -> None:
    together, alone = effects(loaded, ASKED, token_budget=1000), effects(loaded, ASKED, token_budget=1)
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_the_model_is_as_it_was(loaded: Loaded) -> None:
    """Without hooks, gradients or other forwards, also after an exception on the way back."""
    before, modules = state(loaded), list(loaded.model.modules())

    def fails(layer: int, derivative: torch.Tensor) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), attribute(loaded.ffn, 1, fails):
        loaded.model(input_ids=torch.tensor([[1, 5, 9]]), use_cache=False).logits.sum().backward()
    effects(loaded, ASKED[:1], token_budget=1000)
    assert state(loaded) == before
    assert not any("forward" in vars(module) for module in modules)
    assert all(weight.grad is None for weight in loaded.model.parameters())


def state(loaded: Loaded) -> tuple[int, list[float]]:
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in loaded.model.modules())
    return hooks, loaded.model(input_ids=torch.tensor([[1, 5, 9]]), use_cache=False).logits.flatten().tolist()


def test_a_forward_that_was_replaced_before_is_there_again(layout: Callable[[str], Any]) -> None:
    """As accelerate leaves it on a model that is spread over devices."""
    model = layout("llama")
    loaded, block = Loaded(model, find_ffn(model)), find_ffn(model).blocks[1]
    own = block.forward
    block.forward = lambda *args, **kwargs: own(*args, **kwargs)
    replaced = block.forward
    effects(loaded, ASKED, token_budget=1000)
    assert block.forward is replaced


def test_layers_are_held_one_at_a_time(layout: Callable[[str], Any]) -> None:
    """What the forward pass keeps of a layer is its input: no neurons."""
    model = layout("llama")
    kept: list[torch.Size] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor.shape)
        return tensor

    ffn = find_ffn(model)
    with attribute(ffn, 2, lambda *_: None), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(input_ids=torch.tensor([[1, 5, 9], [1, 6, 2]]), use_cache=False)
    assert kept
    assert (2, 3, 40) not in {tuple(shape) for shape in kept}


def test_what_has_no_gradient_is_refused_in_one_line(layout: Callable[[str], Any]) -> None:
    model = layout("llama")
    loaded = Loaded(model, find_ffn(model))
    down: Any = loaded.ffn.layers[1].module
    plain = down.weight
    down.weight = torch.nn.Parameter(plain.to(torch.int8), requires_grad=False)
    with pytest.raises(
        UserError, match=r"^probe=attribution takes a gradient, and layer 1 of LlamaForCausalLM is quan.*"
    ):
        effects(loaded, ASKED, token_budget=1000)
    down.weight = torch.nn.Parameter(plain.to("meta"), requires_grad=False)
    with pytest.raises(UserError, match=r"not in memory or lie on the disk: leave model.device_map out") as fault:
        effects(loaded, ASKED, token_budget=1000)
    assert "\n" not in str(fault.value)
    down.weight = torch.nn.Parameter(plain * float("nan"), requires_grad=False)
    with pytest.raises(UserError, match=r"120 neurons are not finite in float32: choose model.dtype"):
        effects(loaded, ASKED, token_budget=1000)
