"""What an intervention costs, on the alpha axis of its effect: one picture a neuron set, a panel a measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hneuro.report import wording as say
from hneuro.report.figures.alpha import alpha_axis, measured
from hneuro.report.figures.curves import SMALLEST_SPAN, Line, curves, limits, over
from hneuro.report.figures.style import DASHES, H_NEURONS, OTHER, WIDTH, Picture, Spec, finished, safe, upright
from hneuro.report.tidy import Tidy, independent_mean
from hneuro.result_records import ResultRow
from hneuro.statistics import rate

HEIGHT, TICKS = 56, 50  # pixels: of a panel, and of its labels
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
    drawn = {"vconcat": [_draw(panel, last=panel is panels[-1]) for panel in panels], "spacing": 6,
             "resolve": {"scale": {"color": "independent", "strokeDash": "independent"}}}  # fmt: skip
    yield Picture(
        name="cost" if neuron_set == "h_neurons" else f"cost_{safe(neuron_set)}",
        alt=f"What scaling {say.condition_name(neuron_set)} does and costs. "
        + " ".join(_said(panel) for panel in panels),
        figure=finished(drawn, f"What it costs: {say.condition_name(neuron_set)}"),
    )


def _effect(tidy: Tidy, neuron_set: str) -> Iterator[Panel]:
    curves = [_curve(tidy, "compliance", name, neuron_set) for name in tidy.datasets("causal", "compliance")]
    known = [curve for curve in curves if len(curve) > 1]
    mean = _mean(known)
    if len(known) == 1:
        yield Panel(title=f"{say.READINGS['compliance']}: {say.plain(mean[0].dataset)}", rows=mean)
    elif len(mean) > 1:
        yield Panel(title=f"{say.READINGS['compliance']}: mean (thin: each of {len(known)})", rows=mean, parts=known)


def _costs(tidy: Tidy, neuron_set: str) -> Iterator[Panel]:
    panels: list[Panel] = []
    for name in tidy.datasets("causal", "accuracy"):
        curve = _curve(tidy, "accuracy", name, neuron_set)
        panels.append(Panel(title=f"{say.READINGS['accuracy']}: {say.plain(name)}", rows=curve))
    for name in tidy.datasets("causal", "perplexity"):
        curve = _curve(tidy, "perplexity", name, neuron_set)
        panels.append(Panel(title=f"perplexity: {say.plain(name)}", rows=curve, share=False))
    each = [_curve(tidy, "degenerate", name, neuron_set) for name in tidy.datasets("causal", "degenerate")]
    panels.append(Panel(title="derailed: answers that repeat themselves", rows=_pooled(each), span=0.1))
    for name in tidy.datasets("causal", "over_refusal"):
        curve = _curve(tidy, "over_refusal", name, neuron_set)
        panels.append(Panel(title=f"{say.READINGS['over_refusal']}: {say.plain(name)}", rows=curve, span=0.1))
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


def _draw(panel: Panel, last: bool) -> Spec:
    own = Line(label=panel.title, look=(H_NEURONS, DASHES[0]), points=over(panel.rows))
    parts = [
        Line(label=say.plain(part[0].dataset), look=(OTHER, DASHES[0]), points=over(part), thin=True)
        for part in panel.parts
    ]
    shown = [v for _, r in own.points for v in (r.value, r.low, r.high) if v is not None and not say.missing(v)]
    shown += [row.value for part in panel.parts for row in part]
    axis = {"format": ".0%" if panel.share else "~g", "tickCount": 3, "minExtent": TICKS, "maxExtent": TICKS}
    y = {
        "title": None,
        "scale": limits(shown, panel.span * (1 if panel.share else max(shown)), panel.share),
        "axis": axis,
    }
    x = alpha_axis([own])
    if not last:
        x["title"], x["axis"] = None, x["axis"] | {"labels": False}
    drawn = curves([own, *parts], x, y, say.percent_interval if panel.share else say.with_interval, columns=0)
    title = {"text": f"{panel.title}, n = {max(row.n for row in panel.rows):,}", "fontSize": 10,
             "fontWeight": "normal", "offset": 3, "frame": "group"}  # fmt: skip
    return {"title": title, "width": WIDTH - TICKS - 14, "height": HEIGHT, "layer": [upright(1.0), drawn]}


def _said(panel: Panel) -> str:
    show = say.percent if panel.share else say.number
    return f"{panel.title}: " + ", ".join(f"{show(row.value)} at alpha {row.alpha:g}" for row in panel.rows) + "."
