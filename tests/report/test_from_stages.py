"""Rows as the stages really make them: if a stage renames a metric or a condition, the report notices here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from hneuro.causal.benchmarks.known import KNOWN_FACTS
from hneuro.causal.effects import effects
from hneuro.causal.grid import UNTOUCHED
from hneuro.detection.evaluate import DetectionSettings, detect, detect_by_baselines
from hneuro.detection.mechanism.signals import SIGNALS, remaining_rows, signal_rows
from hneuro.detection.mechanism.transfer import transfer_rows
from hneuro.detection.scored import BASELINES, AnswerSet
from hneuro.neurons import HNeurons, NeuronSpace, Probe, ProbeRows
from hneuro.origin.transfer import Readers, backward_transfer
from hneuro.probe.controls import ControlKind
from hneuro.probe.selectors import L1
from hneuro.records import Outcome, Reading, SweepAnswer
from hneuro.report.causal_verdicts import changes
from hneuro.report.page import pictures, write_report
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import Word, discrimination
from hneuro.result_records import ResultRow, Results

SPACE = NeuronSpace(n_layers=2, width=12)
TELLING = (3, 15)
ALPHA = ("doubt_compliance", "doubt_p_comply", "known_facts_accuracy")


def answer_set(name: str, seed: int) -> AnswerSet:
    """Answers that two neurons tell apart, and the baselines do not."""
    draw = np.random.default_rng(seed)
    y = np.tile([0, 1], 40).astype(np.int8)
    x = draw.normal(size=(80, SPACE.size)).astype(np.float32)
    x[:, TELLING] += 2.0 * y[:, None]
    groups = np.array([f"{name} {n}" for n in range(80)])
    rows = ProbeRows.of(x=x, y=y, groups=groups, space=SPACE)
    baselines = draw.normal(size=(80, len(BASELINES)))
    baselines[:, BASELINES.index("length")] = draw.integers(1, 4, 80)
    return AnswerSet(name=name, rows=rows, baselines=baselines)


def swept(benchmark: str) -> list[tuple[SweepAnswer, Reading]]:
    """Under the neurons more and more items comply; under controls none does."""
    sets = [("h_neurons", 0)] + [(f"h_neurons/{kind}", seed) for kind in get_args(ControlKind) for seed in (0, 1)]
    found = []
    for name, seed in sets:
        for alpha in (0.0, 3.0) if seed or "/" in name else (0.0, 1.0, 3.0):
            for item in range(40):
                complies = name == "h_neurons" and item < 12 * alpha
                answer = SweepAnswer(
                    item_id=f"{benchmark} {item}", neuron_set=UNTOUCHED if alpha == 1 else name, seed=seed, alpha=alpha,
                    replies=("",), p_comply=0.2 + 0.01 * item / 40 + 0.1 * alpha * (name == "h_neurons")
                    if benchmark == "doubt" else None,
                    truncated=False,
                )  # fmt: skip
                found.append((answer, Reading(outcome=Outcome.COMPLIES if complies else Outcome.RESISTS)))
    return found


@pytest.fixture(scope="module")
def rows() -> tuple[ResultRow, ...]:
    weight = np.zeros(SPACE.size)
    weight[list(TELLING)] = 1.0
    probe = Probe(weight=weight, bias=0.0, strength=1.0, space=SPACE)
    fit, select, people = (answer_set(name, seed) for seed, name in enumerate(("fit", "select", "people")))
    settings = DetectionSettings(control_seeds=30)
    own_rows = detect(probe, {"h_neurons": TELLING}, np.ones(probe.space.size), fit, select, [people], settings, seed=0)
    detected = (*own_rows, *detect_by_baselines(fit, select, [people]))
    caused: list[ResultRow] = []
    for benchmark, measures in (("doubt", "compliance"), (KNOWN_FACTS, "accuracy")):
        pairs = swept(benchmark)
        answers, readings = [a for a, _ in pairs], [r for _, r in pairs]
        caused += effects(answers, readings, benchmark, measures, {a.item_id: a.item_id for a in answers})
    from hneuro.detection.evaluate import neuron_detector

    own = neuron_detector(TELLING, fit, select)
    controls = tuple(neuron_detector((n, n + 1), fit, select) for n in (0, 5, 8))
    readers = Readers(probe=probe, detector=own, controls=controls)
    return (*detected, *caused, *backward_transfer(readers, [people]), *mechanism_rows(people))


def mechanism_rows(people: AnswerSet) -> Iterator[ResultRow]:
    """One signal was not measured; a second set gets a probe of its own."""
    draw, n = np.random.default_rng(9), len(people.rows.y)
    signals = replace(people, baselines=draw.normal(size=(n, len(SIGNALS))))
    signals.baselines[:, SIGNALS.index("entropy")] = np.nan
    yield from signal_rows([signals], {("people", "entropy"): "not given by the sampler"})
    yield from remaining_rows([signals], folds=4, min_per_class=20, seed=0)
    both = [people, answer_set("drugs", 7)]
    own = HNeurons(neurons=TELLING, weights=(1.0, 1.0), space=SPACE, selection="l1")
    sources = {s.name: s.rows for s in both if isinstance(s.rows, ProbeRows)}
    yield from transfer_rows(both, sources, L1(C=(3.0,)), own, 3.0, 10, 0)


def test_the_verdicts_of_real_rows(rows: tuple[ResultRow, ...], results: Results) -> None:
    tidy = Tidy(replace(results, rows=rows))
    assert [v.word for v in discrimination(tidy, "detection")] == [Word.DETECTS]
    for metric in ("compliance", "p_comply"):
        (change,) = changes(tidy, "h_neurons", metric)
        assert (change.word, len(change.controls)) == (Word.EFFECT, 8)
    assert [c.benchmark for c in changes(tidy, "h_neurons", "accuracy")] == [KNOWN_FACTS]
    assert [v.dataset for v in discrimination(tidy, "origin")] == ["people"]


@pytest.mark.usefixtures("no_figures")
def test_every_trial_is_on_the_page(rows: tuple[ResultRow, ...], results: Results, tmp_path: Path) -> None:
    found = replace(results, rows=rows)
    html = write_report(found, tmp_path).read_text(encoding="utf-8")
    assert 'class="absent"' not in html
    for part in ("not given by the sampler", "frequency, confidence", "its own"):
        assert part in html, part
    drawn = {picture.name for picture in pictures(found)}
    assert drawn >= {"detection_people", *(f"alpha_{name}" for name in ALPHA)}
