"""What an intervention costs, on the alpha axis of its effect: one picture a neuron set, a panel a measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hneuro.report import wording as say
from hneuro.report.figures.alpha import alpha_axis, measured
from hneuro.report.figures.curves import Line, curves, limits, over
from hneuro.report.figures.style import WIDTH, Picture, Spec, finished, looks, safe, upright
from hneuro.report.tidy import Tidy
from hneuro.result_records import ResultRow

HEIGHT, TICKS = 56, 50  # pixels: of a panel, and of its labels
PANELS = {
    "compliance": say.READINGS["compliance"],
    "accuracy": say.READINGS["accuracy"],
    "perplexity": "perplexity",
    "degenerate": "derailed: answers that repeat themselves",
    "over_refusal": say.READINGS["over_refusal"],
}
Known = Mapping[str, Sequence[ResultRow]]  # data set -> its rows over alpha


def cost_pictures(tidy: Tidy, neuron_set: str) -> Iterator[Picture]:
    """Compliance on top, below it all that should stay as it is, a line a data set; nothing where no cost is known."""
    panels = {metric: _known(tidy, metric, neuron_set) for metric in PANELS}
    panels = {metric: known for metric, known in panels.items() if known}
    if not panels.keys() - {"compliance"}:
        return
    every = [rows for known in panels.values() for rows in known.values()]
    counts = {rows[0].dataset: max(row.n for row in rows) for rows in every}
    labels = {name: f"{say.plain(name)} (n = {n:,})" for name, n in counts.items()}
    last, whose = [*panels][-1], say.condition_name(neuron_set)
    drawn = [_panel(metric, known, labels, metric == last) for metric, known in panels.items()]
    yield Picture(
        name="cost" if neuron_set == "h_neurons" else f"cost_{safe(neuron_set)}",
        alt=f"What scaling {whose} does and costs. " + " ".join(_said(*panel) for panel in panels.items()),
        figure=finished({"vconcat": drawn, "spacing": 6}, f"What it costs: {whose}"),
    )


def _known(tidy: Tidy, metric: str, neuron_set: str) -> Known:
    curves = {name: measured(tidy.curve(metric, name, neuron_set, None)) for name in tidy.datasets("causal", metric)}
    return {name: rows for name, rows in curves.items() if len(rows) > 1}


def _panel(metric: str, known: Known, labels: Mapping[str, str], last: bool) -> Spec:
    """Every data set has its look in all panels, so that they share a legend."""
    share = metric != "perplexity"
    lines = [
        Line(label=label, look=look, points=over(known.get(name, ())))
        for look, (name, label) in zip(looks(), labels.items(), strict=False)
    ]
    ends = [v for rows in known.values() for r in rows for v in (r.value, r.low, r.high)]
    values = [value for value in ends if value is not None and not say.missing(value)]
    axis = {"format": ".0%" if share else "~g", "tickCount": 3, "minExtent": TICKS, "maxExtent": TICKS}
    scale = limits(values) if share else limits(values, 0.3 * max(values), share=False)
    x = alpha_axis(lines)
    if not last:
        x["title"], x["axis"] = None, x["axis"] | {"labels": False}
    show = say.percent_interval if share else say.with_interval
    drawn = curves(lines, x, {"title": None, "scale": scale, "axis": axis}, show, pick=False)
    head = {"text": PANELS[metric], "fontSize": 10, "fontWeight": "normal", "offset": 3, "frame": "group"}
    return {"title": head, "width": WIDTH - TICKS - 14, "height": HEIGHT, "layer": [upright(1.0), drawn]}


def _said(metric: str, known: Known) -> str:
    show = say.number if metric == "perplexity" else say.percent
    told = (
        f"{say.plain(name)} " + ", ".join(f"{show(row.value)} at alpha {row.alpha:g}" for row in rows)
        for name, rows in known.items()
    )
    return f"{PANELS[metric]}: {'; '.join(told)}."
