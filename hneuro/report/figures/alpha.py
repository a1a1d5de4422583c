"""Alpha curves: each benchmark under each neuron set, with its controls behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from hneuro.report.figures.detection import safe
from hneuro.report.figures.forest import ForestRow, forest
from hneuro.report.figures.style import FAINT, H_NEURONS, Picture, axes, colour_of, entitle, figure_of
from hneuro.report.tidy import Tidy
from hneuro.report.wording import READINGS, condition_name, missing, percent, plain, points
from hneuro.result_records import ResultRow

SMALLEST_SPAN = 0.3  # of the y axis, so that noise does not look like an effect

STYLES: Mapping[str, Literal["-", "--", ":", "-."]] = {
    "random": "-",
    "layer_matched": "--",
    "contribution_matched": ":",
    "norm_matched": "-.",
}


def alpha_pictures(tidy: Tidy, neuron_set: str) -> Iterator[Picture]:
    """One picture for each (benchmark, reading); both readings of a benchmark have the same scale."""
    for benchmark in tidy.benchmarks:
        limits = _limits(tidy, benchmark)
        for metric in tidy.readings(benchmark):
            own = _measured(tidy.curve(metric, benchmark, neuron_set, None))
            if len(own) > 1:
                yield _curves(tidy, neuron_set, benchmark, metric, own, limits)


def change_pictures(tidy: Tidy, neuron_set: str) -> Iterator[Picture]:
    """The change from the lowest to the highest alpha beside the changes under the controls, one picture a reading."""
    for metric in READINGS:
        rows: list[ForestRow] = []
        counts: list[int] = []
        for benchmark in tidy.datasets("causal", f"change_{metric}"):
            own = tidy.one("causal", f"change_{metric}", benchmark, neuron_set)
            if own is None or missing(own.value):
                continue
            counts.append(own.n)
            rows.append(
                ForestRow(
                    label=plain(benchmark), colour=H_NEURONS, value=100 * own.value,
                    low=_points(own.low), high=_points(own.high),
                )
            )  # fmt: skip
            for control in tidy.controls("causal", benchmark, neuron_set):
                draws = tidy.draws("causal", f"change_{metric}", benchmark, control)
                values = tuple(100 * r.value for r in draws if not missing(r.value))
                name = condition_name(control).partition(",")[0].removesuffix(" neurons")
                rows.append(ForestRow(label=name, colour=colour_of(control), draws=values, below=True))
        if rows:
            drawn = forest(rows, f"Change in {READINGS[metric]}", "percentage points", 0.0, n=max(counts))
            yield Picture(
                name=f"change_{metric}{_suffix(neuron_set)}",
                alt=f"Change in {READINGS[metric]} from the lowest to the highest alpha, "
                + ", ".join(f"{r.label} {points((r.value or 0) / 100)}" for r in rows if r.value is not None),
                figure=figure_of(drawn),
            )


def _curves(
    tidy: Tidy, neuron_set: str, benchmark: str, metric: str, own: Sequence[ResultRow], limits: tuple[float, float]
) -> Picture:
    drawn = axes(top=0.3, bottom=0.72)
    handles = [Line2D([], [], color=H_NEURONS, marker="o", markersize=4, label=condition_name(neuron_set))]
    for control in tidy.controls("causal", benchmark, neuron_set):
        colour = colour_of(control)
        style = STYLES[control.rpartition("/")[2]]
        for seed in tidy.seeds(metric, benchmark, control):
            rows = _measured(tidy.curve(metric, benchmark, control, seed))
            drawn.plot(*_xy(rows), color=colour, linewidth=0.8, linestyle=style, alpha=0.6)
        name = condition_name(control).partition(",")[0].removesuffix(" neurons")
        handles.append(Line2D([], [], color=colour, linewidth=1, linestyle=style, label=name))
    x, y = _xy(own)
    band = [(r.low, r.high) for r in own if r.low is not None and r.high is not None]
    if len(band) == len(own):
        drawn.fill_between(x, [b[0] for b in band], [b[1] for b in band], color=H_NEURONS, alpha=0.18, linewidth=0)
    drawn.plot(x, y, color=H_NEURONS, marker="o", markersize=4)
    drawn.axvline(1.0, color=FAINT, linewidth=0.8, linestyle=":")
    drawn.set_ylim(*limits)
    drawn.set_xticks(x)
    drawn.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    entitle(drawn, f"{plain(benchmark)}: {READINGS[metric]}")
    drawn.set_xlabel("alpha (1 = untouched)")
    figure = figure_of(drawn)
    figure.text(0.97, 0.035, f"n = {max(r.n for r in own)}", ha="right", fontsize=8, color=FAINT)
    figure.legend(
        handles=handles,
        loc="lower left",
        ncols=3,
        bbox_to_anchor=(0.0, -0.01),
        columnspacing=0.9,
        handlelength=1.5,
        handletextpad=0.5,
    )
    return Picture(
        name=f"alpha_{safe(benchmark)}_{metric}{_suffix(neuron_set)}",
        alt=f"{plain(benchmark)}, {READINGS[metric]} with {condition_name(neuron_set)} scaled: "
        + ", ".join(f"{percent(r.value)} at alpha {r.alpha:g}" for r in own),
        figure=figure,
    )


def _limits(tidy: Tidy, benchmark: str) -> tuple[float, float]:
    values = [
        v
        for r in tidy.results.rows
        if r.stage == "causal" and r.dataset == benchmark and r.metric in READINGS and r.alpha is not None
        for v in ((r.low, r.value, r.high) if "/" not in r.condition else (r.value,))
        if v is not None and not missing(v)
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = max(SMALLEST_SPAN, high - low) + 0.04
    bottom = min(max((low + high - span) / 2, -0.02), 1.02 - span)
    return bottom, bottom + span


def _measured(rows: Sequence[ResultRow]) -> list[ResultRow]:
    return [r for r in rows if not missing(r.value)]


def _xy(rows: Sequence[ResultRow]) -> tuple[list[float], list[float]]:
    return [r.alpha for r in rows if r.alpha is not None], [r.value for r in rows]


def _points(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _suffix(neuron_set: str) -> str:
    return "" if neuron_set == "h_neurons" else f"_{safe(neuron_set)}"
