"""Rows of values with intervals, and of control draws as dots: detection, changes and origin against their controls."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from hneuro.origin.settings import KINDS
from hneuro.report.compared import Compared
from hneuro.report.figures.alpha import short
from hneuro.report.figures.style import (
    FAINT,
    GRID,
    H_NEURONS,
    INK,
    MATCHED,
    OTHER,
    PAPER,
    RANDOM,
    Picture,
    axes,
    colour_of,
    entitle,
    figure_of,
    safe,
)
from hneuro.report.folders import Run
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import READINGS, condition_name, missing, number, plain
from hneuro.result_records import ResultRow

ROW_HEIGHT, LABELS = 0.27, 1.45  # inches
PARTS = {"": "mean", "_up": "mean, up", "_down": "mean, down", "_gate": "mean, gate"}


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One line: a value with its interval, or the draws of a control."""

    label: str
    colour: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    draws: tuple[float, ...] = ()
    hollow: bool = False
    below: bool = False  # belongs to the row above it


def forest(rows: Sequence[ForestRow], title: str, xlabel: str, chance: float, n: int | None = None) -> Axes:
    """One axes with the first row on top; `chance` is the vertical line of no effect, `n` their count."""
    drawn = axes(height=0.75 + ROW_HEIGHT * len(rows), left=LABELS)
    drawn.axvline(chance, color=INK, linewidth=0.8, linestyle=":")
    for place, row in enumerate(rows):
        _row(drawn, row, place)
    drawn.set_yticks(range(len(rows)), ["\n".join(textwrap.wrap(row.label, 22)[:3]) for row in rows])
    for place, (label, row) in enumerate(zip(drawn.get_yticklabels(), rows, strict=True)):
        if row.below:
            label.set(color=FAINT, fontsize=7.5)
        elif place and rows[place - 1].below:
            drawn.axhline(place - 0.5, color=GRID, linewidth=0.8)
    drawn.set_ylim(len(rows) - 0.5, -0.5)
    drawn.tick_params(axis="y", length=0)
    drawn.spines["left"].set_visible(False)
    drawn.grid(visible=False, axis="y")
    drawn.set_xlabel(xlabel)
    entitle(drawn, title)
    if n is not None:
        drawn.set_title(f"n = {n}", loc="right", fontsize=8, color=FAINT)
    return drawn


def _row(drawn: Axes, row: ForestRow, place: int) -> None:
    if row.draws:
        # Spread by rank, not at random: the same picture every time.
        order = np.argsort(np.argsort(row.draws, kind="stable"), kind="stable")
        offset = (order * 0.618034 % 1 - 0.5) * 0.5
        drawn.scatter(row.draws, place + offset, s=9, color=row.colour, alpha=0.7, linewidth=0)
    if row.value is None or missing(row.value):
        return
    if row.low is not None and row.high is not None:
        drawn.plot([row.low, row.high], [place, place], color=row.colour, linewidth=1.6, solid_capstyle="butt")
    face = PAPER if row.hollow else row.colour
    drawn.scatter([row.value], [place], s=32, facecolor=face, edgecolor=row.colour, linewidth=1.2, zorder=3)


def of(
    row: ResultRow, label: str, colour: str, hollow: bool = False, below: bool = False, scale: float = 1.0
) -> ForestRow:
    """A row of the results, times `scale`."""
    value, low, high = (None if v is None else scale * v for v in (row.value, row.low, row.high))
    return ForestRow(label=label, colour=colour, value=value, low=low, high=high, hollow=hollow, below=below)


def _picture(name: str, drawn: Axes, title: str, rows: Sequence[ForestRow], digits: int = 3) -> Picture:
    told = ", ".join(f"{row.label} {number(row.value, digits)}" for row in rows if row.value is not None)
    return Picture(name=name, alt=f"{title}: {told}.", figure=figure_of(drawn))


def detection_pictures(compared: Compared) -> Iterator[Picture]:
    """One picture a data set, all on the same scale: of one run every detector, of many their H-Neurons."""
    every = [r for _, r in compared.rows() if (r.stage, r.metric) == ("detection", "auroc")]
    low = min([CHANCE, *(v for r in every for v in (r.value, r.low) if v is not None and not missing(v))]) - 0.03
    for dataset in compared.names("detection", "auroc"):
        own = [r for r in every if r.dataset == dataset]
        if all(missing(r.value) for r in own):
            continue
        rows = [row for run in compared.runs for row in _detectors(compared, run, dataset)]
        drawn = forest(rows, plain(dataset), "AUROC", CHANCE, n=max(r.n for r in own) if compared.alone else None)
        drawn.set_xlim(low, 1.02)
        yield _picture(f"detection_{safe(dataset)}", drawn, f"AUROC on {plain(dataset)}", rows)


def _detectors(compared: Compared, run: Run, dataset: str) -> Iterator[ForestRow]:
    for name in run.tidy.conditions("detection", "auroc") if compared.alone else ("h_neurons", "h_neurons/random"):
        row = run.tidy.one("detection", "auroc", dataset, name)
        if row is not None:
            control = "/" in name
            label = compared.label(run) if not (compared.alone or control) else condition_name(name)
            yield of(row, label, colour_of(name), below=control and not compared.alone)


def change_pictures(tidy: Tidy, neuron_set: str) -> Iterator[Picture]:
    """The change from the lowest to the highest alpha and the changes under the controls, one picture a reading."""
    for metric in READINGS:
        rows: list[ForestRow] = []
        counts: list[int] = []
        for benchmark in tidy.datasets("causal", f"change_{metric}"):
            own = tidy.one("causal", f"change_{metric}", benchmark, neuron_set)
            if own is None or missing(own.value):
                continue
            counts.append(own.n)
            rows.append(of(own, plain(benchmark), H_NEURONS, scale=100))
            for control in tidy.controls("causal", benchmark, neuron_set):
                draws = tidy.draws("causal", f"change_{metric}", benchmark, control)
                values = tuple(100 * r.value for r in draws if not missing(r.value))
                rows.append(ForestRow(label=short(control), colour=colour_of(control), draws=values, below=True))
        if rows:
            title = f"Change in {READINGS[metric]}"
            drawn = forest(rows, title, "percentage points", 0.0, n=max(counts))
            name = f"change_{metric}" + ("" if neuron_set == "h_neurons" else f"_{safe(neuron_set)}")
            yield _picture(name, drawn, f"{title} from the lowest to the highest alpha", rows, digits=1)


def origin_pictures(compared: Compared) -> Iterator[Picture]:
    """Backward transfer, one picture a data set; and the drift ranks. Every run is on each."""
    for dataset in compared.names("origin", "auroc"):
        rows = [row for run in compared.runs for row in _transfer(compared, run, dataset)]
        if rows:
            drawn = forest(rows, f"{plain(dataset)}, base model", "AUROC", CHANCE)
            drawn.set_xlim(right=1.02)
            title = f"AUROC of the chat model's detector on {plain(dataset)}"
            yield _picture(f"origin_transfer_{safe(dataset)}", drawn, title, rows)
    if means := [row for run in compared.runs for row in _drift(compared, run)]:
        drawn = forest(means, "Drift rank", "0 = changed most, 1 = least", 0.5)
        drawn.set_xlim(-0.03, 1.03)
        yield _picture("origin_drift", drawn, "Mean drift ranks", means)


def _transfer(compared: Compared, run: Run, dataset: str) -> Iterator[ForestRow]:
    own = run.tidy.one("origin", "auroc", dataset, "h_neurons")
    if own is None or missing(own.value):
        return
    yield of(own, compared.label(run) or "H-Neurons", H_NEURONS)
    for stage, condition, label, colour in (
        ("origin", "h_neurons/random", "random neurons", RANDOM),
        ("origin", "base_probe", "own probe", OTHER),
        ("detection", "h_neurons", "on chat", H_NEURONS),
    ):
        if row := run.tidy.one(stage, "auroc", dataset, condition):
            yield of(row, label, colour, hollow=stage == "detection", below=True)


def _drift(compared: Compared, run: Run) -> Iterator[ForestRow]:
    """The mean rank, of one run by each part of the weights, and below it that of neurons of the same layers."""
    ranks = [n.drift_rank for n in run.found.neurons if n.drift_rank is not None and not missing(n.drift_rank)]
    names = ("h_neurons", "h_neurons/layer_matched")
    for kind in KINDS if compared.alone else ("",):
        own, matched = (run.tidy.one("origin", f"drift_rank{kind}", "parameters", name) for name in names)
        if own is not None and not missing(own.value):
            yield of(own, compared.label(run) or PARTS[kind], H_NEURONS)
            if not kind and ranks:
                yield ForestRow(label="each H-Neuron", colour=H_NEURONS, draws=tuple(ranks), below=True)
            if matched is not None:
                yield of(matched, "same layers", MATCHED, below=True)
