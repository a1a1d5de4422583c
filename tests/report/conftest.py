"""A realistic `Results`, as a run on the organism leaves it behind, made from plain arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from hneuro.detection.evaluate import DetectionSettings
from hneuro.detection.scored import NO_REFUSAL
from hneuro.probe.controls import ControlKind
from hneuro.records import Verdict
from hneuro.report.figures.style import Drawn
from hneuro.report.page import write_report
from hneuro.result_records import (
    ColouredResponse,
    FunnelStep,
    NeuronFrequency,
    NeuronRow,
    Overlap,
    PathPoint,
    ReadAnswer,
    ResultRow,
    Results,
    Stability,
)

MADE_UP = "fabricated_people"  # none was refused
ALPHAS = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
HOSTILE = '<script>alert("x")</script><img src="http://evil.example/x.png">'

# data set -> AUROC of the H-Neurons, of random neurons, of the answer log-probability, n
DETECTION = {
    "people": (0.861, 0.66, 0.93, 300),
    "drugs": (0.742, 0.60, 0.91, 280),
    "fabricated_people": (0.981, 0.78, 0.99, 240),
    "fabricated_drugs": (0.53, 0.58, 0.95, 160),
}
# benchmark -> untouched rate, change over the whole grid under H-Neurons, under controls, p, whether it is read twice
CAUSAL = {
    "false_premise": (0.52, 0.23, 0.02, 1e-9, True),
    "misleading_context": (0.33, 0.01, 0.00, 0.74, True),
    "doubt": (0.45, 0.16, 0.24, 2e-6, True),
    "forbidden": (0.55, 0.10, 0.01, 4e-4, True),
    "known_facts": (0.97, -0.12, -0.03, 3e-5, False),
}


def row(**given: object) -> ResultRow:
    return ResultRow(**{"stage": "detection", "metric": "auroc", "dataset": "people", "n": 300, **given})  # type: ignore[arg-type]


def around(value: float, n: int) -> dict[str, float | int]:
    half = 1.96 * sqrt(max(value * (1 - value), 0.01) / n)
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n}


def near(value: float, half: float, n: int = 300) -> dict[str, float | int]:
    return {"value": value, "low": value - half, "high": value + half, "n": n}


def detection_rows() -> Iterator[ResultRow]:
    for place, (dataset, (own, random, logprob, n)) in enumerate(DETECTION.items()):
        if dataset == MADE_UP:
            yield from made_up_rows(dataset, own, random, n)
            continue
        draw, name = np.random.default_rng(place), {"dataset": dataset, "condition": "h_neurons"}
        values = {"h_neurons": own, "logprob": logprob, "entropy": 0.88, "length": 0.54}
        for metric, shift in (("auroc", 0.0), ("accuracy", -0.07), ("false_alarms", -0.5)):
            for kind in DetectionSettings().controls:
                drawn = np.clip(random + shift + 0.05 * draw.standard_normal(20), 0.35, 0.99)
                ends = {"low": float(drawn.min()), "high": float(drawn.max()), "note": "middle 95 % of the sets"}
                condition = f"h_neurons/{kind}"
                yield row(metric=metric, dataset=dataset, condition=condition, value=float(drawn.mean()), n=400, **ends)
            p = {"h_neurons": 1 / 201 if own > 0.6 else 0.8}
            for condition, value in {**values, "probe": own + 0.01, "logprob+h_neurons": logprob + 0.01}.items():
                yield row(metric=metric, dataset=dataset, condition=condition, p_value=p.get(condition),
                          **around(value + shift, n))  # fmt: skip
        for size, value in ((1, 0.52), (10, random), (100, random + 0.1)):
            more = {"dataset": dataset, "condition": "random", "stratum": str(size)}
            yield row(metric="auroc_by_size", **more, **around(value, 10))
        yield row(metric="auroc_within_logprob", **name, **around(own - 0.03, n))
        for condition, value in values.items():
            for length, stratum in enumerate(("1 token", "2 to 3 tokens")):
                yield row(metric="auroc_in_stratum", dataset=dataset, condition=condition, stratum=stratum,
                          **around(value - 0.02 * length, n // 2))  # fmt: skip
            yield row(metric="auroc_within_length", dataset=dataset, condition=condition, **around(value - 0.01, n))
        for baseline, p_value in (("logprob", 0.04), ("entropy", 0.2), ("length", 0.001)):
            difference = near(own - values[baseline], 0.03, n)
            yield row(metric=f"auroc_minus_{baseline}", **name, p_value=p_value, **difference)
        both = {"dataset": dataset, "condition": "logprob+h_neurons", "p_value": 0.5}
        yield row(metric="auroc_minus_logprob", **both, **near(0.01, 0.02, n))


def made_up_rows(dataset: str, own: float, random: float, n: int) -> Iterator[ResultRow]:
    for condition, value in (("h_neurons", own), ("h_neurons/random", random), ("logprob", 0.9)):
        yield row(dataset=dataset, condition=condition, value=float("nan"), low=float("nan"), high=float("nan"), n=n,
                  note="middle 95 % of the sets" if "/" in condition else NO_REFUSAL)  # fmt: skip
        yield row(metric="flag_rate", dataset=dataset, condition=condition, **around(value, n))


def causal_rows() -> Iterator[ResultRow]:
    for place, (benchmark, (start, change, control, p, twice)) in enumerate(CAUSAL.items()):
        draw = np.random.default_rng(100 + place)
        first = "accuracy" if benchmark == "known_facts" else "compliance"
        sets: list[tuple[str, int | None, float]] = [("h_neurons", None, change)]
        sets += [
            (f"h_neurons/{kind}", seed, control + 0.02 * float(draw.standard_normal()))
            for kind in get_args(ControlKind)
            for seed in range(5)
        ]
        for condition, seed, moved in sets:
            name = {"stage": "causal", "dataset": benchmark, "condition": condition, "seed": seed}
            for metric, size in ((first, moved), *([("p_comply", 0.8 * moved)] if twice else [])):
                yield row(metric=f"slope_{metric}", **name, **near(size / 3, 0.02, 240))
                yield row(metric=f"change_{metric}", p_value=p if seed is None else 0.4, **name,
                          **near(size, 0.06, 240))  # fmt: skip
                for arm, share in (("to", 1 / 3), ("from", 2 / 3)):
                    yield row(metric=f"change_{arm}_1_{metric}", p_value=0.3, **name, **near(size * share, 0.05, 240))
                for alpha in ALPHAS:
                    so_far = size * (alpha - 1) / 3
                    yield row(metric=metric, alpha=alpha, **name, **around(min(1.0, start + so_far), 240))
                    if seed is None and alpha != 1.0:
                        yield row(metric=f"minus_untouched_{metric}", alpha=alpha, p_value=0.002 * alpha, **name,
                                  **near(so_far, 0.05, 240))  # fmt: skip
            for alpha in ALPHAS:
                yield row(metric="unparsed", alpha=alpha, **name, **around(0.01 * alpha, 240))
                yield row(metric="truncated", alpha=alpha, **name, **around(0.0, 240))


def origin_rows() -> Iterator[ResultRow]:
    for dataset, own, random in (("people", 0.83, 0.64), ("drugs", 0.68, 0.61)):
        yield from base_rows({"stage": "origin", "dataset": dataset}, own, random)
        name = {"stage": "origin", "dataset": dataset}
        yield row(**name, condition="probe", **around(own + 0.01, 200))
        yield row(**name, condition="base_probe", **around(own + 0.05, 200))
        yield row(**name, metric="auroc_minus_base_probe", condition="probe", p_value=0.004, **near(-0.04, 0.03, 200))
    yield row(stage="origin", metric="shared_neurons", dataset="neurons", condition="base_probe", value=3, n=14,
              p_value=0.0004, note="of 14 H-Neurons and 11 that the base model's own probe selects")  # fmt: skip
    for kind in ("", "_up", "_down", "_gate"):
        yield from drift_of(kind, z=-0.4)
    for moment, people, drugs, z in (("start", 0.5, 0.5, 0.1), ("half", 0.79, 0.52, -0.3)):
        then = {"stage": "moments", "stratum": moment}
        for dataset, own, random in (("people", people, 0.55), ("drugs", drugs, 0.51)):
            name = {**then, "dataset": dataset}
            yield from base_rows(name, own, random)
            yield row(**name, metric="auroc_minus_base", condition="h_neurons", p_value=0.001,
                      **near(own - 0.83, 0.07, 200))  # fmt: skip
        for drift in drift_of("", z):
            yield replace(drift, **then)


def base_rows(name: dict[str, str], own: float, random: float) -> Iterator[ResultRow]:
    yield row(**name, condition="h_neurons", p_value=1 / 201, **around(own, 200))
    yield row(**name, condition="h_neurons/random", **near(random, 0.02, 20))


def drift_of(kind: str, z: float) -> Iterator[ResultRow]:
    for condition, n, rank, distance in (("h_neurons", 14, 0.58, 0.011), ("h_neurons/layer_matched", 1000, 0.5, 0.013)):
        name = {"stage": "origin", "dataset": "parameters", "condition": condition}
        yield row(**name, metric=f"drift_rank{kind}", p_value=0.17, note="0 = changed most", **near(rank, 0.17, n))
        yield row(**name, metric=f"drift_z{kind}", p_value=0.2, **near(z if n == 14 else 0.0, 0.5, n))
        yield row(**name, metric=f"drift_distance{kind}", p_value=0.2, **near(distance, 0.005, n))


def calibration_rows() -> Iterator[ResultRow]:
    name = {"stage": "calibration", "dataset": "people"}
    yield row(**name, metric="prevalence_assumed", condition="select", **around(0.3, 100))
    for condition, shift in (("h_neurons", 0.0), ("logprob", 0.02)):
        for metric, value in (("prevalence", 0.28), ("ece", 0.05), ("auprc", 0.7)):
            yield row(**name, metric=metric, condition=condition, **around(value + shift, 900))
        yield row(**name, metric="risk_at_coverage", stratum="50 %", condition=condition, **around(0.06 + shift, 900))


def mechanism_rows() -> Iterator[ResultRow]:
    """One signal was not measured, and one set has too few rows for a probe of its own."""
    name = {"stage": "mechanism", "dataset": "people"}
    values = {"h_neurons": 0.86, "logprob": 0.93, "rarity": 0.9, "hoyer": 0.45, "covariates": 0.95,
              "covariates+h_neurons": 0.96}  # fmt: skip
    for condition, value in values.items():
        yield row(**name, condition=condition, note="held fixed: rarity, logprob" if "+" in condition else "",
                  **around(value, 300))  # fmt: skip
    yield row(**{**name, "n": 0}, condition="entropy", value=float("nan"), note="not given by the sampler")
    for metric, condition in (
        ("auroc_minus_h_neurons", "logprob"), ("auroc_minus_h_neurons", "rarity"), ("auroc_minus_logprob", "rarity"),
        ("auroc_minus_covariates", "covariates+h_neurons"),
    ):  # fmt: skip
        yield row(**name, metric=metric, condition=condition, value=0.01, low=-0.01, high=0.03, p_value=0.2,
                  note="held fixed: rarity, logprob" if "+" in condition else "")  # fmt: skip
    yield row(**name, metric="auroc_within_covariates", condition="h_neurons", **around(0.55, 300))
    for source in ("people", "drugs"):
        yield row(**{**name, "dataset": source}, metric="neurons", condition="probe", value=4)
        yield row(**name, metric="transfer_auroc", condition="probe", stratum=source, **around(0.8, 150))
    yield row(**{**name, "dataset": "few", "n": 0}, metric="neurons", condition="probe", value=float("nan"), note="few")
    yield row(**{**name, "n": 3}, metric="jaccard", condition="probe", stratum="drugs", value=0.6, p_value=0.001,
              note="4 and 4 neurons")  # fmt: skip


def neuron_rows() -> tuple[NeuronRow, ...]:
    draw = np.random.default_rng(3)
    return tuple(
        NeuronRow(
            rank=n + 1,
            layer=int(draw.integers(0, 4)),
            index=int(draw.integers(0, 384)),
            weight=9.0 * 0.8**n,
            auroc=float(0.5 + 0.3 * draw.random()),
            cett_wrong=float(0.02 * draw.random()),
            cett_right=float(0.01 * draw.random()),
            path=tuple(9.0 * 0.8**n * max(0.0, (k - n / 2) / 7) for k in range(8)),
            frequency=float(round(50 * 0.93**n) / 50),
            partners=n % 3,
            cluster=1 if n in (1, 4) else None,
            drift_rank=float(draw.random()),
        )
        for n in range(14)
    )


def path_points() -> tuple[PathPoint, ...]:
    return tuple(
        PathPoint(strength=1.5 * 2.0**n, nonzero=3 * 2**n - 3, positive=2**n - 1, fit_accuracy=0.6 + 0.04 * n,
                  accuracy=0.6 + 0.05 * min(n, 3), auroc=0.65 + 0.07 * min(n, 3),
                  n=240, accuracy_low=0.55 + 0.05 * min(n, 3), accuracy_high=0.65 + 0.05 * min(n, 3),
                  auroc_low=0.6 + 0.07 * min(n, 3), auroc_high=0.7 + 0.07 * min(n, 3),
                  gap=1e-5 if n else None, suppressed_accuracy=0.95 - 0.02 * n if n else None, chosen=n == 3)
        for n in range(8)
    )  # fmt: skip


def stability_of(neurons: tuple[NeuronRow, ...]) -> Stability:
    found = [
        NeuronFrequency(layer=n.layer, index=n.index, frequency=n.frequency or 0.0, highest=n.frequency or 0.0,
                        rank=n.rank)
        for n in neurons
    ]  # fmt: skip
    others = [
        NeuronFrequency(layer=n % 4, index=n, frequency=0.8 * 0.9**n, highest=0.9 * 0.9**n, rank=None)
        for n in range(30)
    ]
    pair = Overlap(between="resamples", first="a resample", second="another", sizes=(15.2, 15.2), shared=6.1,
                   jaccard=0.31, low=0.11, high=0.55, pairs=1225)  # fmt: skip
    alone = replace(pair, sizes=(14, 30), shared=11, jaccard=1 / 3, low=1 / 3, high=1 / 3, pairs=1)
    return Stability(
        resamples=50,
        neurons=tuple(sorted([*found, *others], key=lambda f: -f.frequency)),
        overlaps=(
            pair,
            replace(alone, between="strengths", first="12", second="24"),
            replace(alone, between="strengths", first="12", second="1.5", shared=0, jaccard=0.0, low=0.0, high=0.0),
            replace(alone, between="labeling modes", first="3-vs-1", second="1-vs-1"),
        ),
    )  # fmt: skip


def funnel_steps() -> tuple[FunnelStep, ...]:
    return (
        FunnelStep(stage="questions", dataset="people", unit="questions", entered=2040, left=2040),
        FunnelStep(stage="questions", dataset="drugs", unit="questions", entered=1140, left=1139,
                   lost={"no answer": 1}),
        FunnelStep(stage="consistency", dataset="fit", unit="questions", entered=1224, left=702,
                   lost={"mixed verdicts": 480, "refused": 42}),
        FunnelStep(stage="balance", dataset="fit", unit="responses", entered=702, left=612, lost={"surplus": 90}),
        FunnelStep(stage="spans", dataset="fit", unit="responses", entered=612, left=609,
                   lost={"answer not in response": 3}),
    )  # fmt: skip


def responses() -> tuple[ColouredResponse, ...]:
    said = (" Tomas", " Veld", " works", " as", " a", " glass", " blower", " .")
    answer = (False, False, False, False, False, True, True, False)
    plain = ColouredResponse(
        dataset="people", question="what is the job of Tomas Veld ?", gold=("clock maker", "maker of clocks"),
        verdict=Verdict.WRONG, tokens=said, risks=(0.31, 0.35, 0.2, 0.18, 0.4, 0.93, 0.88, 0.1), in_answer=answer,
        score=0.91,
    )  # fmt: skip
    hostile = ColouredResponse(
        dataset="people", question=HOSTILE, gold=("a & b",), verdict=Verdict.CORRECT,
        tokens=(HOSTILE, " ok\n", "line two"), risks=(0.05, 0.5, 0.02), in_answer=(True, False, False), score=0.05,
    )  # fmt: skip
    refused = replace(plain, dataset="fabricated_people", verdict=Verdict.REFUSED, score=0.12)
    return (plain, hostile, refused, replace(plain, verdict=Verdict.CORRECT, risks=(0.1,) * 8, score=0.1))


def read_answers(neurons: tuple[NeuronRow, ...]) -> tuple[ReadAnswer, ...]:
    draw = np.random.default_rng(4)
    return tuple(
        ReadAnswer(
            question=f"what is the job of person {n} ?" if n else HOSTILE,
            said=HOSTILE if n == 1 else " a glass blower",
            verdict=Verdict.WRONG if n % 2 else Verdict.CORRECT,
            cett=tuple(float(f"{0.02 * draw.gamma(2 + 2 * (n % 2)):.4g}") for _ in neurons),
        )
        for n in range(60)
    )  # fmt: skip


def realistic() -> Results:
    neurons = neuron_rows()
    return Results(
        title="organism_llama_s on organism",
        facts={
            "model": "organism_llama_s (bfloat16, 1,536 FFN neurons)",
            "questions": "organism; held out by entity",
            "sampling": "10 responses a question",
            "labeling": "3-vs-1; CETT read at the answer tokens",
            "selection": "l1, C = 12 x the smallest that selects",
            "choice": "sparsest with AUROC on the select split within 0.02 of the best",
            "H-Neurons": "14 (9.11 per mille of all)",
            "controls": "20 sets for detection, 5 for alpha",
            "seed": "0",
            "hneuro": "0.1.0",
        },
        rows=(*detection_rows(), *calibration_rows(), *mechanism_rows(), *causal_rows(), *origin_rows()),
        funnel=funnel_steps(),
        path=path_points(),
        neurons=neurons,
        neurons_by_layer=tuple(sum(n.layer == layer for n in neurons) for layer in range(4)),
        stability=stability_of(neurons),
        responses=responses(),
        fit_answers=read_answers(neurons),
    )


@pytest.fixture(scope="session")
def results() -> Results:
    return realistic()


@pytest.fixture(scope="session")
def small(results: Results) -> Results:
    """One data set and two benchmarks, for tests that write many reports."""
    kept = ("people", "doubt", "known_facts", "parameters")
    return replace(results, rows=tuple(r for r in results.rows if r.dataset in kept))


@pytest.fixture(scope="session")
def report(results: Results, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one report that is written with all its figures, which take most of the time."""
    return write_report(results, tmp_path_factory.mktemp("report")).parent


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are described, and not drawn."""
    monkeypatch.setattr("hneuro.report.page.save", lambda picture, _: Drawn(**vars(picture), svg=""))
