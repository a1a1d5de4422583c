"""Learned gains lower the loss, stay where they may be, and come out the same; what has no gradient is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from hneuro.causal.grid import NeuronSet, Steering, cells
from hneuro.causal.sweep import Sweep, p_comply
from hneuro.causal.tuning import Lessons, Setting, directions, learn, loss, written
from hneuro.models.edits import Treatment, edits
from hneuro.models.hooks import intervene
from hneuro.models.language_model import LanguageModel
from hneuro.records import BenchmarkItem, UserError
from hneuro.responses.contest import Contest
from hneuro.responses.decoding import Decoding

NEURONS = (3, 17, 40, 64, 70, 101, 130, 190)
LESSONS = Lessons(
    pressed=[
        ((1, 9, 30, 12, 44, 8, 91, 17, 63, 20), Contest(((7, 21, 33),), ((7, 8, 19),))),
        ((1, 9, 30, 12, 44, 8, 91, 17, 63, 40, 7, 33), Contest(((5,),), ((6, 11),))),
        ((1, 9, 30, 12, 44, 8, 91, 17, 63, 41), Contest(((50, 3),), ((51, 4, 9),))),
    ],
    kept=[((1, 9, 30, 12, 44, 8, 91, 17, 63, 21), (60, 61)), ((1,), (80, 81, 82, 83))],
)
QUESTION = {"role": "user", "content": "Who wrote Hamlet?"}
ITEM = BenchmarkItem(id="a", benchmark="b", messages=(QUESTION,), comply=("x y",), resist=("q",))
SETTING = Setting(rate=0.3, penalty=0.1)


def learned(model: LanguageModel, seed: int = 0, setting: Setting = SETTING) -> Any:
    return learn(model.loaded, 0, NEURONS, LESSONS, setting, (1, 12), seed)


def at(model: LanguageModel, gains: Any, penalty: float = 0.1) -> float:
    with torch.no_grad():
        return float(
            loss(model.loaded, 0, NEURONS, torch.tensor(np.asarray(gains, dtype=np.float32)), LESSONS, penalty)
        )


def test_learned_gains_lower_the_loss_and_stay_between_0_and_2(language_model: LanguageModel) -> None:
    first, last = learned(language_model)
    before = at(language_model, [1.0] * len(NEURONS))
    assert at(language_model, last) < at(language_model, first) < before - 1e-3
    assert ((last > 0) & (last < 2)).all()
    far = learned(language_model, setting=replace(SETTING, rate=100.0))
    assert ((far >= 0) & (far <= 2)).all()


def test_a_penalty_keeps_what_should_stay(language_model: LanguageModel) -> None:
    """The loss on what should stay is lower, the more it counts."""

    def stays(gains: Any) -> float:
        return at(language_model, gains, 1.0) - at(language_model, gains, 0.0)

    free, held = (learned(language_model, setting=replace(SETTING, penalty=p))[-1] for p in (0.0, 30.0))
    assert stays(held) < stays(free) - 1e-3


def test_the_same_seed_gives_the_same_bits(language_model: LanguageModel) -> None:
    many = replace(LESSONS, pressed=[*LESSONS.pressed] * 4)
    one, same, other = (
        learn(language_model.loaded, 0, NEURONS, many, SETTING, (4,), seed).tobytes() for seed in (1, 1, 2)
    )
    assert one == same != other


def test_the_gradient_is_that_of_differences(language_model: LanguageModel) -> None:
    gains, step = torch.full((len(NEURONS),), 0.8, requires_grad=True), 1e-2
    with torch.enable_grad():
        loss(language_model.loaded, 0, NEURONS, gains, LESSONS, 0.5).backward()
    assert gains.grad is not None
    for place in range(len(NEURONS)):
        up, down = ([0.8 + sign * step * (n == place) for n in range(len(NEURONS))] for sign in (1, -1))
        true = (at(language_model, up, 0.5) - at(language_model, down, 0.5)) / (2 * step)
        assert float(gains.grad[place]) == pytest.approx(true, abs=2e-3, rel=2e-2)


def test_the_loss_is_what_a_sweep_under_these_gains_reads(language_model: LanguageModel) -> None:
    values = (0.0, 0.5, 1.5, 2.0, 0.3, 1.1, 0.9, 0.7)
    grid = cells([NeuronSet(name="t", seed=0, neurons=NEURONS, alphas=(0.0,), kind="gains", values=values)])
    (answer,) = Sweep(language_model, Decoding(temperature=0.0, max_new_tokens=1), 4096).answers([(ITEM, grid[0])], {})
    tokens = [tuple(language_model.tokenizer(t, add_special_tokens=False)["input_ids"]) for t in ("x y", "q")]
    asked = language_model.chat_ids(ITEM.messages), Contest((tokens[0],), (tokens[1],))
    found = loss(
        language_model.loaded, 0, NEURONS, torch.tensor(values), Lessons(pressed=[asked], kept=LESSONS.kept), 0.0
    )
    odds = float(torch.log(torch.expm1(found)))
    assert answer.p_comply == pytest.approx(p_comply(odds), abs=1e-5)


def test_gains_are_undone_at_alpha_1_and_halved_at_one_half() -> None:
    half = Treatment(neurons=(1, 2), alpha=0.5, kind="gains", values=(0.0, 2.0))
    assert [half.factor(value) for value in half.values] == [0.5, 1.5]
    assert replace(half, alpha=1.0).untouched


def test_what_gains_write_is_what_they_change_in_the_last_layer(language_model: LanguageModel) -> None:
    """Of neurons of the last layer alone, nothing later changes it."""
    loaded, neurons, values = language_model.loaded, (130, 150, 190), (0.0, 2.0, 0.5)
    prompts, found = [(1, 9, 30, 12), (1, 40, 7, 7, 21)], []

    def last_block(output: Any) -> torch.Tensor:
        return output[0] if isinstance(output, tuple) else output

    for values_now in (values, (1.0, 1.0, 1.0)):
        treatment = Treatment(neurons=neurons, alpha=0.0, kind="gains", values=values_now)
        states: list[torch.Tensor] = []
        handle = loaded.ffn.blocks[-1].register_forward_hook(lambda _, __, out, s=states: s.append(last_block(out)))
        for prompt in prompts:
            with torch.no_grad(), intervene(loaded.ffn, edits(loaded.ffn.space, [treatment], "cpu", torch.float32)):
                loaded.model(input_ids=torch.tensor([prompt]), use_cache=False)
        handle.remove()
        found.append(torch.cat([state[0] for state in states]))
    expected = float((found[0] - found[1]).norm(dim=-1).mean())
    assert written(loaded, prompts, neurons, values, 4096) == pytest.approx(expected, rel=1e-4)


def test_a_steering_vector_goes_from_wrong_to_right_and_is_added(language_model: LanguageModel) -> None:
    found = directions(language_model.loaded, LESSONS.pressed, 4096)
    assert found.shape == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1.0, rtol=1e-5)
    decoding, row = (
        Decoding(temperature=0.0, max_new_tokens=1),
        (ITEM, cells([NeuronSet(name="t", seed=0, neurons=(), alphas=(1.0,))])[0]),
    )
    steered = [Steering(layer=1, vector=(size,) * 16 + (0.0,) * 16) for size in (0.0, 3.0)]
    plain, still, moved = (
        Sweep(language_model, decoding, 4096, steering=one).answers([row], {})[0].p_comply for one in (None, *steered)
    )
    assert plain == still != moved


def test_what_has_no_gradient_is_refused_in_one_line(language_model: LanguageModel, spec: Any) -> None:
    own = LanguageModel(spec.chat, spec, completion=False)
    down: Any = own.loaded.ffn.layers[1].module
    plain = down.weight
    down.weight = torch.nn.Parameter(plain.to(torch.int8), requires_grad=False)
    with pytest.raises(UserError, match=r"^hneuro tune takes a gradient, and layer 1 of LlamaForCausalLM is quantised"):
        learned(own)
    down.weight = torch.nn.Parameter(plain * float("nan"), requires_grad=False)
    with pytest.raises(UserError, match=r"not finite in float32: choose model.dtype=") as fault:
        learned(own)
    assert "\n" not in str(fault.value)
