"""Origin: the chat model's detector on the base model, and how far the H-Neurons' weights moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import binom

from hneuro.origin.settings import KINDS
from hneuro.report.figures.forest import ForestRow, forest, of
from hneuro.report.figures.style import (
    FAINT,
    H_NEURONS,
    MATCHED,
    OTHER,
    RANDOM,
    Picture,
    axes,
    entitle,
    figure_of,
)
from hneuro.report.tables.origin import PARTS
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import missing, number, percent, plain

RANK = "0 = changed most, 1 = least"


def origin_pictures(tidy: Tidy) -> Iterator[Picture]:
    if rows := _transfer(tidy):
        drawn = forest(rows, "Backward transfer", "AUROC", CHANCE)
        drawn.set_xlim(right=1.02)
        yield Picture(
            name="origin_transfer",
            alt="AUROC of the chat model's detector: " + ", ".join(f"{r.label} {number(r.value)}" for r in rows) + ".",
            figure=figure_of(drawn),
        )
    ranks = [n.drift_rank for n in tidy.results.neurons if n.drift_rank is not None and not missing(n.drift_rank)]
    means = _drift(tidy)
    if ranks and means:
        yield _distribution(ranks)
        rows = [ForestRow(label="each H-Neuron", colour=H_NEURONS, draws=tuple(ranks)), *means]
        drawn = forest(rows, "Drift rank", RANK, 0.5, n=len(ranks))
        drawn.set_xlim(-0.03, 1.03)
        yield Picture(
            name="origin_drift",
            alt="Mean drift ranks of the H-Neurons by weights, and of neurons of the same layers below each: "
            + ", ".join(f"{r.label} {number(r.value)}" for r in means)
            + ".",
            figure=figure_of(drawn),
        )


def _drift(tidy: Tidy) -> list[ForestRow]:
    """The mean rank by each part of the weights, and below it that of neurons of the same layers."""
    rows = []
    for kind in KINDS:
        own, matched = (
            tidy.one("origin", f"drift_rank{kind}", "parameters", condition)
            for condition in ("h_neurons", "h_neurons/layer_matched")
        )
        if own is None or missing(own.value):
            continue
        rows.append(of(own, f"mean, {PARTS[kind]}", H_NEURONS))
        if matched is not None:
            rows.append(replace(of(matched, "same layers", MATCHED), below=True))
    return rows


def _distribution(ranks: Sequence[float]) -> Picture:
    """How many of the H-Neurons changed at least so much; the ranks of all neurons are uniform, by construction."""
    drawn, n = axes(bottom=0.72), len(ranks)
    x = np.linspace(0, 1, 201)
    low, high = (binom.ppf(q, n, x) / n for q in (0.025, 0.975))
    drawn.fill_between(x, low, high, color=RANDOM, alpha=0.15, linewidth=0, label="95 % of random ones")
    drawn.plot([0, 1], [0, 1], color=RANDOM, linewidth=1, linestyle="--", label="all neurons")
    steps = [0.0, *sorted(ranks), 1.0]
    drawn.step(steps, [0.0, *(k / n for k in range(1, n + 1)), 1.0], where="post", color=H_NEURONS, label="H-Neurons")
    drawn.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=RANK, ylabel="share up to this rank")
    entitle(drawn, "Drift ranks of the H-Neurons")
    drawn.set_title(f"n = {n}", loc="right", fontsize=8, color=FAINT)
    figure = figure_of(drawn)
    figure.legend(loc="lower left", ncols=3, bbox_to_anchor=(0.0, -0.01))
    quarter, half = (sum(rank <= limit for rank in ranks) / n for limit in (0.25, 0.5))
    return Picture(
        name="origin_drift_distribution",
        alt=f"Distribution of the drift ranks of {n} H-Neurons against all neurons, whose ranks are uniform: "
        f"{percent(quarter, 0)} are among the quarter that changed most, {percent(half, 0)} among the half.",
        figure=figure,
    )


def _transfer(tidy: Tidy) -> list[ForestRow]:
    rows = []
    for dataset in tidy.datasets("origin", "auroc"):
        on_base = tidy.one("origin", "auroc", dataset, "h_neurons")
        on_chat = tidy.one("detection", "auroc", dataset, "h_neurons")
        random = tidy.one("origin", "auroc", dataset, "h_neurons/random")
        own = tidy.one("origin", "auroc", dataset, "base_probe")
        if on_base is None:
            continue
        if on_chat is not None:
            rows.append(of(on_chat, f"{plain(dataset)}, chat", H_NEURONS, hollow=True))
        rows.append(of(on_base, f"{plain(dataset)}, base", H_NEURONS))
        if random is not None:
            rows.append(of(random, "random neurons, base", RANDOM))
        if own is not None:
            rows.append(of(own, "own probe, base", OTHER))
    return rows
