"""Alpha curves over runs: every model on one chart a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Literal, NamedTuple

from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from hneuro.report.across.causal import Curve, curves
from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import Run
from hneuro.report.figures.detection import safe
from hneuro.report.figures.style import (
    FAINT,
    H_NEURONS,
    HEIGHT,
    MATCHED,
    RANDOM,
    Picture,
    axes,
    entitle,
    figure_of,
)
from hneuro.report.wording import missing, percent

Dash = Literal["-", "--", "-.", ":"]
# Okabe and Ito's colours without the yellow; a dash pattern each time round, and markers for black and white.
COLOURS = (H_NEURONS, RANDOM, MATCHED, "#cc79a7", "#56b4e9", "#e69f00", "#7a6f9b")
DASHES: tuple[Dash, ...] = ("-", "--", "-.", ":")
MARKERS = "osD^vP<>"
LEGEND_LINE = 0.17  # inches


class Look(NamedTuple):
    colour: str
    marker: str
    dash: Dash


def look(place: int) -> Look:
    """The same for the same run on every chart."""
    return Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)], DASHES[place // len(COLOURS) % 4])


def alpha_pictures(compared: Compared) -> Iterator[Picture]:
    """One chart a benchmark, reading and neuron set: a line a run, the mean of its controls dotted behind it."""
    charts: dict[str, dict[int, Curve]] = {}
    for place, curve in curves(compared):
        charts.setdefault(curve.title, {})[place] = curve
    for title, found in charts.items():
        yield _chart(compared, title, found)


def _chart(compared: Compared, title: str, found: Mapping[int, Curve]) -> Picture:
    below = 0.5 + LEGEND_LINE * (len(found) + 1)
    drawn = axes(height=HEIGHT - 0.45 + below, top=0.3, bottom=below)
    handles, told = [], []
    for place, curve in found.items():
        run, style = compared.runs[place], look(place)
        low, high = ([getattr(row, bound) for row in curve.rows] for bound in ("low", "high"))
        if None not in (*low, *high):
            drawn.fill_between(curve.alphas, low, high, color=style.colour, alpha=0.12, linewidth=0)
        control = _control(run, curve)
        drawn.plot(list(control), list(control.values()), color=style.colour, linewidth=0.9, linestyle=":")
        drawn.plot(
            curve.alphas, curve.values, color=style.colour, marker=style.marker, markersize=3.5, linewidth=1.6,
            linestyle=style.dash,
        )  # fmt: skip
        label = compared.label(run)
        handles.append(
            Line2D(
                [], [], color=style.colour, marker=style.marker, markersize=3.5, linestyle=style.dash,
                label=f"{label} (n = {max(row.n for row in curve.rows)})",
            )
        )  # fmt: skip
        told.append(f"{label} from {percent(curve.values[0])} to {percent(curve.values[-1])}")
    handles.append(Line2D([], [], color=FAINT, linewidth=0.9, linestyle=":", label="mean of its control sets"))
    drawn.axvline(1.0, color=FAINT, linewidth=0.8, linestyle=":")
    drawn.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    entitle(drawn, title)
    drawn.set_xlabel("alpha (1 = untouched)")
    figure = figure_of(drawn)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, -0.01), fontsize=7.5, labelspacing=0.2)
    any_curve = next(iter(found.values()))
    return Picture(
        name=f"alpha_{safe(any_curve.benchmark)}_{any_curve.metric}"
        + ("" if any_curve.neuron_set == "h_neurons" else f"_{safe(any_curve.neuron_set)}"),
        alt=f"{title} over alpha: {'; '.join(told)}.",
        figure=figure,
    )


def _control(run: Run, curve: Curve) -> dict[float, float]:
    """alpha -> mean over all control sets of the neuron set."""
    values: dict[float, list[float]] = {}
    for control in run.tidy.controls("causal", curve.benchmark, curve.neuron_set):
        for seed in run.tidy.seeds(curve.metric, curve.benchmark, control):
            for row in run.tidy.curve(curve.metric, curve.benchmark, control, seed):
                if row.alpha is not None and not missing(row.value):
                    values.setdefault(row.alpha, []).append(row.value)
    return {alpha: fmean(found) for alpha, found in sorted(values.items())}
