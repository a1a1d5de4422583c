"""The sweep by edits in the weights of vLLM's workers, on a stand-in; on the real one where it is installed."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch

from hneuro.causal.grid import Cell, NeuronSet, SweepSettings, cells
from hneuro.causal.sweep import Sweep
from hneuro.causal.vllm_sweep import EXTENSION, VllmSweep
from hneuro.causal.vllm_worker import ColumnEdits
from hneuro.models.language_model import LanguageModel
from hneuro.models.spec import ModelSpec
from hneuro.neurons import NeuronSpace
from hneuro.records import BenchmarkItem, SweepAnswer, UserError
from hneuro.responses.decoding import Decoding
from hneuro.responses.vllm import VllmSampler

SPACE = NeuronSpace(n_layers=3, width=64)
GREEDY = Decoding(temperature=0.0, max_new_tokens=6)
ALPHAS = (0.0, 1.0, 1.7, 3.0)
SETS = (
    NeuronSet(name="h_neurons", seed=0, neurons=tuple(range(0, 192, 6)), alphas=ALPHAS),
    NeuronSet(name="h_neurons/random", seed=0, neurons=tuple(range(1, 192, 7)), alphas=(0.0, 3.0)),
)
GRID = cells(SETS)
ITEMS = tuple(
    BenchmarkItem(
        id=f"item-{n}",
        benchmark="b",
        messages=({"role": "user", "content": text},),
        comply=("Yes",),
        resist=("No",),
        follow_ups=doubts,
    )
    for n, (text, doubts) in enumerate(
        [
            ("Who wrote Hamlet, and is it so? Are you sure?", ()),
            ("Who wrote Hamlet, and is it so? Are you not?", ()),
            ("Who is William Shakespeare?", ("Are you sure?", "So what is it?")),
        ]
    )
)
ROWS = [(item, cell) for item in ITEMS for cell in GRID]


@pytest.fixture
def model(spec: ModelSpec) -> LanguageModel:
    """One whose weights may be let go of."""
    return LanguageModel(spec.chat, spec, completion=False)


def sweep_of(model: LanguageModel, decoding: Decoding = GREEDY, **settings: Any) -> VllmSweep:
    return VllmSweep(model, VllmSampler(dtype="float32", **settings), decoding, SPACE)


def started(sweep: VllmSweep) -> Any:
    return sweep._engine()


def openings(sweep: VllmSweep | Sweep) -> dict[str, str]:
    return {opening.item_id: opening.text for opening in sweep.openings([item for item in ITEMS if item.follow_ups])}


def answers(sweep: VllmSweep | Sweep, rows: list[tuple[BenchmarkItem, Cell]] = ROWS) -> tuple[SweepAnswer, ...]:
    return sweep.answers(rows, openings(sweep))


@pytest.fixture(scope="module")
def expected(spec: ModelSpec) -> tuple[SweepAnswer, ...]:
    """What the hooks make of it."""
    model = LanguageModel(spec.chat, spec, completion=False)
    made = answers(Sweep(model, GREEDY, 4096))
    assert len({a.replies for a in made}) > len(ITEMS) * 3, "else the equalities of this file would hold of anything"
    return tuple(replace(answer, p_comply=None, mass=None) for answer in made)


def bits(engine: Any) -> list[torch.Tensor]:
    return [p.detach().clone() for p in engine.model.parameters()]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("devices", [(1, 1), (2, 2)], ids=str)
def test_answers_are_those_of_the_hooks(
    vllm: Any,
    model: LanguageModel,
    expected: tuple[SweepAnswer, ...],
    devices: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whole, split by neurons and by layers; conversations, too, and in the order of the rows."""
    monkeypatch.setattr(vllm, "GPUS", 4)
    assert model.loaded
    sweep = sweep_of(model, tensor_parallel_size=devices[0], pipeline_parallel_size=devices[1])
    engine = started(sweep)
    assert "loaded" not in model.__dict__, "the device is the engine's"
    before = bits(engine)
    assert answers(sweep) == expected
    assert same(bits(engine), before)
    assert answers(sweep, ROWS[::-1]) == expected[::-1], "the untouched model after all edits"
    assert len(engine.workers) == devices[0] * devices[1]
    assert len(vllm.started) == 1
    assert vllm.started[0]["worker_extension_cls"] == EXTENSION


def test_a_prefix_cache_that_is_not_reset_would_be_seen(
    vllm: Any, model: LanguageModel, expected: tuple[SweepAnswer, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    reset = vllm.LLM.reset_prefix_cache
    monkeypatch.setattr(vllm.LLM, "reset_prefix_cache", lambda engine: reset(engine) and None)
    assert answers(sweep_of(model, gpu_memory_utilization=0.8)) == expected, "as older versions do it"
    monkeypatch.setattr(vllm.LLM, "reset_prefix_cache", lambda _: True)
    assert answers(sweep_of(model)) != expected
    monkeypatch.setattr(vllm.LLM, "reset_prefix_cache", lambda _: False)
    with pytest.raises(UserError, match="did not reset its prefix cache, which is stale"):
        answers(sweep_of(model, enforce_eager=True))
    assert vllm.running == []


@pytest.mark.parametrize("fault", [ArithmeticError, KeyboardInterrupt])
def test_weights_have_their_bits_back_whatever_happens(
    vllm: Any, model: LanguageModel, fault: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = sweep_of(model)
    engine = started(sweep)
    before, edited = bits(engine), []

    def fails(*_: Any, **__: Any) -> None:
        edited.append(not same(bits(engine), before))
        raise fault

    monkeypatch.setattr(engine, "generate", fails)
    with pytest.raises(fault):
        sweep.answers([row for row in ROWS[:6] if row[1].alpha == 0.0], {})
    assert edited == [True]
    assert same(bits(engine), before)
    assert vllm.running == [], "what was cut short is still in that engine"


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ("fp8", r"cannot edit .*, the weight of layer 0 \(RowParallelLinear\) is stored as torch.float8_e4m3fn"),
        ("fused", r"cannot edit .*, layer 0 has fused experts \(FusedMoE\), whose weights are repacked"),
        ("packed", r"vLLM answers the same with the neurons of .* scaled: it computes with other weights"),
        ("transposed", r"cannot edit .*, the weight of layer 0 .* is \[64, 32\] and not \[32, 64\]: it is repacked"),
        ("integers", r"cannot edit .*, the down projection of layer 0 .* has no plain weight: it is quantised"),
    ],
)
def test_weights_that_vllm_repacks_are_refused(
    vllm: Any, model: LanguageModel, layout: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["vllm.workers"], "LAYOUT", layout)
    with pytest.raises(UserError, match=says) as fault:
        answers(sweep_of(model))
    assert "intervention.engine=transformers" in str(fault.value)
    assert "\n" not in str(fault.value)
    assert vllm.running == []


def test_what_weights_cannot_express_is_refused() -> None:
    assert SweepSettings(engine="vllm").engine == "vllm"
    with pytest.raises(ValueError, match=r"variants \['mean'\] cannot be made in weights"):
        SweepSettings(engine="vllm", variants=("mean",))


@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed")
def test_the_real_vllm_takes_what_it_is_given(model: LanguageModel, expected: tuple[SweepAnswer, ...]) -> None:
    """Its signatures everywhere; answers where it finds a device."""
    import vllm
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.worker.worker_base import WorkerBase

    assert "worker_extension_cls" in inspect.signature(EngineArgs).parameters
    assert {"method", "args"} <= {*inspect.signature(vllm.LLM.collective_rpc).parameters}
    assert callable(vllm.LLM.reset_prefix_cache)
    assert callable(WorkerBase.get_model)
    assert not [name for name in dir(ColumnEdits) if not name.startswith("__") and hasattr(WorkerBase, name)]
    if torch.cuda.is_available():
        for eager in (True, False):
            sweep = sweep_of(model, gpu_memory_utilization=0.2, enforce_eager=eager)
            try:
                assert answers(sweep) == expected
            finally:
                sweep.sampler.close()
