"""Neurons built into a tiny model: they must be found, and scaling them must do what was built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import pytest
from surgery import PLANTED, operate, question

from hneuro.causal.benchmarks.base import ByRule
from hneuro.causal.effects import effects
from hneuro.causal.grid import NeuronSet, cells
from hneuro.causal.sweep import Sweep
from hneuro.contributions.extract import extract
from hneuro.contributions.regions import ContributionSettings, averages, region_positions
from hneuro.models.language_model import LanguageModel
from hneuro.models.spec import ModelSpec
from hneuro.neurons import Contributions, Probe, ProbeRows
from hneuro.probe.choice import Sparsest, choose, h_neurons
from hneuro.probe.controls import ControlKind, control_set
from hneuro.probe.labeling import OneVsOne
from hneuro.probe.selectors import L1, Ranking, Selector
from hneuro.records import AnswerSpan, BenchmarkItem, LabelledResponse, Outcome, Response
from hneuro.responses.decoding import Decoding
from hneuro.result_records import ResultRow


@pytest.fixture(scope="module")
def patient(spec: ModelSpec) -> LanguageModel:
    """A fresh copy of the tiny random Llama with the neurons built in."""
    model = LanguageModel(spec.chat, spec, completion=False)
    operate(model.loaded.model, model.tokenizer)
    return model


def measured(model: LanguageModel, numbers: range) -> ProbeRows:
    """The rows of as many known as unknown questions, answered with a few random tokens."""
    draw = np.random.default_rng(numbers.start)
    labelled, responses, spans = [], [], []
    for n in numbers:
        mark, key = ("U" if n % 2 else "K"), str(n)
        prompt = model.prompt_ids(question(mark, n))
        said = tuple(draw.integers(10, 300, size=4).tolist())
        responses.append(
            Response(question_id=key, sample=0, prompt_ids=prompt, token_ids=said, text="", logprobs=(), entropies=())
        )
        spans.append(AnswerSpan(question_id=key, sample=0, tokens=(0, 1, 2, 3), text="", method="all"))
        labelled.append(LabelledResponse(question_id=key, group=key, sample=0, hallucinated=mark == "U"))
    settings = ContributionSettings(regions=("answer",))
    sequences = [(*r.prompt_ids, *r.token_ids) for r in responses]
    positions = [region_positions(r, s, settings, frozenset()) for r, s in zip(responses, spans, strict=True)]
    weights = [averages(own, len(ids)) for own, ids in zip(positions, sequences, strict=True)]
    values = extract(model.loaded, sequences, weights, 4096)
    keys = tuple((r.question_id, r.sample) for r in responses)
    found = Contributions(values=values, keys=keys, regions=("answer",), space=model.loaded.ffn.space)
    return OneVsOne().rows(found, labelled)


@pytest.fixture(scope="module")
def rows(patient: LanguageModel) -> tuple[ProbeRows, ProbeRows]:
    """Of the fit and of the select split."""
    return measured(patient, range(160)), measured(patient, range(160, 240))


def chosen_by(selector: Selector, rows: tuple[ProbeRows, ProbeRows]) -> Probe:
    return choose(selector.path(rows[0], seed=0), *rows, Sparsest())[0]


@dataclass(frozen=True, kw_only=True)
class Complying(ByRule):
    """Questions of which nothing is known; only the probability of "Yes" is read."""

    name: str = "complying"
    decoding: Decoding = field(default_factory=lambda: Decoding(temperature=0.0, max_new_tokens=1))

    def items(self) -> tuple[BenchmarkItem, ...]:
        return tuple(
            BenchmarkItem(
                id=str(n),
                benchmark=self.name,
                messages=({"role": "user", "content": question("U", n)},),
                comply=("Y",),
                resist=("N",),
            )
            for n in range(300, 312)
        )

    def outcome(self, item: BenchmarkItem, text: str) -> Outcome:
        return Outcome.UNPARSED


def planted_in(model: LanguageModel) -> set[int]:
    return {model.loaded.ffn.space.flat(*place) for place in PLANTED}


def test_the_built_neurons_are_found_and_no_others(patient: LanguageModel, rows: tuple[ProbeRows, ProbeRows]) -> None:
    """L1 keeps some of the four, which are always active together; the ranking keeps them all."""
    sparse = h_neurons(chosen_by(L1(C=(1.5, 2.0, 3.0, 5.0)), rows), "l1").neurons
    assert sparse
    assert set(sparse) <= planted_in(patient)
    assert set(chosen_by(Ranking(counts=(4,)), rows).positive) == planted_in(patient)


def test_scaling_them_moves_compliance_and_scaling_others_does_not(
    patient: LanguageModel, rows: tuple[ProbeRows, ProbeRows]
) -> None:
    """The controls of the same run are flat."""
    probe = chosen_by(Ranking(counts=(4,)), rows)
    space, chosen = probe.space, h_neurons(probe, "ranking").neurons
    contribution = rows[0].columns(range(space.size)).mean(axis=0)
    alphas = (0.0, 1.0, 2.0, 3.0)
    sets = [NeuronSet(name="h_neurons", seed=0, neurons=tuple(sorted(chosen)), alphas=alphas)]
    for kind in get_args(ControlKind):
        for seed in range(3):
            control = control_set(kind, space, chosen, {*chosen, *planted_in(patient)}, contribution, seed)
            sets.append(NeuronSet(name=f"h_neurons/{kind}", seed=seed, neurons=control, alphas=alphas))
    benchmark = Complying()
    by_id = {item.id: item for item in benchmark.items()}
    rows_ = [(item, cell) for item in by_id.values() for cell in cells(sets)]
    answers = Sweep(patient, benchmark.decoding, 16384).answers(rows_, {})
    readings = benchmark.readings([(by_id[a.item_id], a.replies) for a in answers])
    found = effects(answers, readings, benchmark.name, benchmark.measures, {name: name for name in by_id})

    def of(metric: str, condition: str) -> list[ResultRow]:
        return [r for r in found if (r.metric, r.condition) == (metric, condition)]

    curve = [r.value for r in sorted(of("p_comply", "h_neurons"), key=lambda r: r.alpha)]
    assert curve == sorted(curve)
    (change,) = of("change_p_comply", "h_neurons")
    assert change.low > 0.3
    assert change.p_value < 0.01
    for kind in get_args(ControlKind):
        controls = [r.value for r in of("change_p_comply", f"h_neurons/{kind}")]
        assert len(controls) == 3
        assert max(np.abs(controls)) < change.value / 4
