"""What an intervention costs, on the alpha axis of its effect: one picture a neuron set, a panel a measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hneuro.report.figures.alpha import SMALLEST_SPAN, measured, xy
from hneuro.report.figures.style import FAINT, H_NEURONS, OTHER, WIDTH, Picture, entitle, safe
from hneuro.report.tidy import Tidy, independent_mean
from hneuro.report.wording import READINGS, condition_name, missing, number, percent, plain
from hneuro.result_records import ResultRow
from hneuro.statistics import rate

PANEL, GAP, TOP, BOTTOM, LEFT, RIGHT = 0.72, 0.27, 0.52, 0.45, 0.62, 0.15  # inches
Curve = Sequence[ResultRow]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One measure over alpha, and thin lines of what it is a mean of."""

    title: str
    rows: Curve
    parts: Sequence[Curve] = ()
    share: bool = True  # a rate; otherwise a number above 0
    span: float = SMALLEST_SPAN  # the smallest of the y axis, as a part of the value where it is not a rate


def cost_pictures(tidy: Tidy, neuron_set: str) -> Iterator[Picture]:
    """Compliance on top, below it everything that should stay as it is; nothing where no such thing was measured."""
    costs = [*_costs(tidy, neuron_set)]
    if not costs:
        return
    panels = [*_effect(tidy, neuron_set), *costs]
    height = TOP + len(panels) * PANEL + (len(panels) - 1) * GAP + BOTTOM
    figure = Figure(figsize=(WIDTH, height))
    first: Axes | None = None
    for place, panel in enumerate(panels):
        above = TOP + (place + 1) * PANEL + place * GAP
        drawn = figure.add_axes(
            (LEFT / WIDTH, 1 - above / height, (WIDTH - LEFT - RIGHT) / WIDTH, PANEL / height), sharex=first
        )
        first = first or drawn
        _draw(drawn, panel)
        drawn.tick_params(labelbottom=place == len(panels) - 1)
    assert first is not None
    first.set_xticks(sorted({row.alpha for panel in panels for row in panel.rows if row.alpha is not None}))
    figure.axes[-1].set_xlabel("alpha (1 = untouched)")
    entitle(first, f"What it costs: {condition_name(neuron_set)}")
    yield Picture(
        name="cost" if neuron_set == "h_neurons" else f"cost_{safe(neuron_set)}",
        alt=f"What scaling {condition_name(neuron_set)} does and costs. " + " ".join(_said(panel) for panel in panels),
        figure=figure,
    )


def _effect(tidy: Tidy, neuron_set: str) -> Iterator[Panel]:
    curves = [_curve(tidy, "compliance", name, neuron_set) for name in tidy.datasets("causal", "compliance")]
    known = [curve for curve in curves if len(curve) > 1]
    mean = _mean(known)
    if len(known) == 1:
        yield Panel(title=f"{READINGS['compliance']}: {plain(mean[0].dataset)}", rows=mean)
    elif len(mean) > 1:
        yield Panel(title=f"{READINGS['compliance']}: mean (thin: each of {len(known)})", rows=mean, parts=known)


def _costs(tidy: Tidy, neuron_set: str) -> Iterator[Panel]:
    panels: list[Panel] = []
    for name in tidy.datasets("causal", "accuracy"):
        curve = _curve(tidy, "accuracy", name, neuron_set)
        panels.append(Panel(title=f"{READINGS['accuracy']}: {plain(name)}", rows=curve))
    for name in tidy.datasets("causal", "perplexity"):
        curve = _curve(tidy, "perplexity", name, neuron_set)
        panels.append(Panel(title=f"perplexity: {plain(name)}", rows=curve, share=False))
    each = [_curve(tidy, "degenerate", name, neuron_set) for name in tidy.datasets("causal", "degenerate")]
    panels.append(Panel(title="derailed: answers that repeat themselves", rows=_pooled(each), span=0.1))
    for name in tidy.datasets("causal", "over_refusal"):
        curve = _curve(tidy, "over_refusal", name, neuron_set)
        panels.append(Panel(title=f"{READINGS['over_refusal']}: {plain(name)}", rows=curve, span=0.1))
    yield from (panel for panel in panels if len(panel.rows) > 1)


def _curve(tidy: Tidy, metric: str, dataset: str, neuron_set: str) -> Curve:
    return measured(tidy.curve(metric, dataset, neuron_set, None))


def _side_by_side(curves: Sequence[Curve]) -> Iterator[tuple[ResultRow, ...]]:
    """The rows of all curves at each alpha that all have: a mean must not move because another one joins it."""
    known = [{row.alpha: row for row in curve} for curve in curves if curve]
    for alpha in known[0] if known else ():
        if all(alpha in curve for curve in known):
            yield tuple(curve[alpha] for curve in known)


def _mean(curves: Sequence[Curve]) -> list[ResultRow]:
    return [independent_mean(rows) for rows in _side_by_side(curves)]


def _pooled(curves: Sequence[Curve]) -> list[ResultRow]:
    """The share among the answers of all benchmarks together."""
    found = []
    for rows in _side_by_side(curves):
        share = rate(round(sum(row.value * row.n for row in rows)), sum(row.n for row in rows))
        found.append(replace(rows[0], value=share.value, low=share.low, high=share.high, n=share.n))
    return found


def _draw(drawn: Axes, panel: Panel) -> None:
    for part in panel.parts:
        drawn.plot(*xy(part), color=OTHER, linewidth=0.8, alpha=0.7)
    x, y = xy(panel.rows)
    lows = [row.low for row in panel.rows if row.low is not None and not missing(row.low)]
    highs = [row.high for row in panel.rows if row.high is not None and not missing(row.high)]
    if len(lows) == len(highs) == len(x):
        drawn.fill_between(x, lows, highs, color=H_NEURONS, alpha=0.18, linewidth=0)
    drawn.plot(x, y, color=H_NEURONS, marker="o", markersize=3.5)
    drawn.axvline(1.0, color=FAINT, linewidth=0.8, linestyle=":")
    shown = [*y, *lows, *highs, *(row.value for part in panel.parts for row in part)]
    drawn.set_ylim(*_limits(min(shown), max(shown), panel))
    drawn.yaxis.set_major_locator(MaxNLocator(3))
    if panel.share:
        drawn.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    drawn.set_title(panel.title, loc="left", fontsize=8, pad=3)
    drawn.set_title(f"n = {max(row.n for row in panel.rows)}", loc="right", fontsize=8, color=FAINT, pad=3)


def _limits(low: float, high: float, panel: Panel) -> tuple[float, float]:
    """Wide enough that noise does not look like a cost; a rate stays between 0 and 1, with room for its line."""
    span = max(panel.span if panel.share else panel.span * high, (high - low) * 1.1)
    bottom = (low + high - span) / 2
    if panel.share:
        bottom = max(min(bottom, 1.02 - span), -0.04 * span)
    return bottom, bottom + span


def _said(panel: Panel) -> str:
    show = percent if panel.share else number
    return f"{panel.title}: " + ", ".join(f"{show(row.value)} at alpha {row.alpha:g}" for row in panel.rows) + "."
