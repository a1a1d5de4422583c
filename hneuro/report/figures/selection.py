"""Where the selected neurons are, the path over the strength, and what one of them did at the fitted answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.figures import style
from hneuro.report.figures.curves import Line, curves
from hneuro.report.figures.style import H_NEURONS, Picture, Spec, layer, numeric
from hneuro.result_records import Estimate, PathPoint, Results

NO = float("nan")


def selection_pictures(compared: Compared) -> Iterator[Picture]:
    """The neurons and the path of one run; no path of one point."""
    found = compared.runs[0].found
    if compared.alone and found.neurons:
        figure = neuron_map(found)
        yield Picture(name="neurons", alt=f"{figure['title']}.", figure=figure)
    if compared.alone and len(found.path) > 1:
        points = sorted(found.path, key=lambda point: point.strength)
        yield Picture(name="path", alt="AUROC on the select split over the strength.", figure=_path(points))


def neuron_map(found: Results) -> Spec:
    """Each neuron at its layer and index; the heavier, the larger. Dragging moves, shift and wheel zoom."""
    records = [
        {"rank": n.rank, "layer": n.layer, "index": n.index, "weight": n.weight, "place": say.layer(n),
         "told": say.number(n.weight), "wrong": say.number(n.cett_wrong, 4), "right": say.number(n.cett_right, 4),
         "often": say.percent(n.frequency, 0)}
        for n in found.neurons
    ]  # fmt: skip
    last = max([len(found.neurons_by_layer) - 1, *(n.layer for n in found.neurons)])
    told = style.tooltip(place="layer", index="index", told="weight", often="selected in",
                   wrong="CETT wrong", right="CETT right")  # fmt: skip
    ends = {"domain": [-0.5, last + 0.5], "nice": False}
    width = found.space.width if found.space else 1 + max(n.index for n in found.neurons)
    within = {"domain": [-0.03 * width, 1.03 * width], "nice": False}
    at = {"x": numeric("layer", title="layer", axis={"tickMinStep": 1}, scale=ends),
          "y": numeric("index", title="index", scale=within),
          "size": numeric("weight", scale={"range": [20, 200]}, legend=None)}  # fmt: skip
    points = layer("point", records, at | told, filled=True, opacity=0.7, color=H_NEURONS, cursor="pointer", clip=True)
    zoom = {"type": "interval", "zoom": "wheel![event.shiftKey]"}
    points["params"] = [{"name": "zoomed", "select": zoom, "bind": "scales"}]
    title = f"{len(records):,} H-Neuron{'s' * (len(records) != 1)} by layer and index"
    return style.finished({"height": 240, "layer": [points]}, title)


def one_neuron() -> Spec:
    """The CETT of a neuron at wrong and right answers, which the page fills in; the bars are the means."""
    kinds = ["wrong", "right"]
    x = numeric("cett", title="CETT")
    at = {"x": x, "y": style.nominal("kind", title=None, sort=kinds)}
    colour = {"color": style.nominal("kind", scale={"domain": kinds, "range": [H_NEURONS, style.MATCHED]}, legend=None)}
    offset = {"yOffset": numeric("offset", scale={"domain": [-1, 1]})}
    told = style.tooltip(question="question", said="said", cett="CETT")
    mean = {"x": x | {"aggregate": "mean"}, "y": at["y"]}
    marks = [
        layer("circle", None, at | colour | offset | told, size=24, opacity=0.6),
        layer("tick", None, mean, thickness=2, color=style.INK),
    ]
    return style.finished({"height": 90, "layer": marks}, "At the answers of the fit part")


def _path(points: Sequence[PathPoint]) -> Spec:
    """AUROC, accuracy and what suppression leaves, over the strength."""
    areas = [(point.strength, point.estimate("auroc")) for point in points]
    lines = [Line(label="AUROC", look=(H_NEURONS, style.DASHES[0]), points=areas), *_others(points)]
    low, high = points[0].strength, points[-1].strength
    scale = "log" if low > 0 and high / low > 20 else "linear"  # over more than a decade
    x = {"title": "strength (C, or how many were ranked in)", "axis": {"format": "~g", "tickCount": 6, "grid": False},
         "scale": {"type": scale, "nice": False}}  # fmt: skip
    drawn = curves(lines, x, {"title": "value", "scale": {"zero": False}}, say.with_interval)
    chosen = [point for point in points if point.chosen]
    at = {"x": numeric("x"), "y": numeric("value")}
    rings = [{"x": point.strength, "value": point.auroc} for point in chosen]
    ring = layer("point", rings, at, size=160, strokeWidth=1.5, color=style.INK)
    counts = [f": {point.positive:,} neuron{'s' * (point.positive != 1)}" for point in chosen]
    layers = [*(style.upright(point.strength) for point in chosen), drawn, ring]
    return style.finished(
        {"height": style.HEIGHT, "layer": layers}, f"On the select split (ring: chosen{''.join(counts)})"
    )


def _others(points: Sequence[PathPoint]) -> Iterator[Line]:
    accuracy = [(p.strength, p.estimate("accuracy")) for p in points]
    yield Line(label="accuracy", look=(style.RANDOM, style.DASHES[1]), points=accuracy)
    known = [
        (p.strength, Estimate(value=p.suppressed_accuracy, low=NO, high=NO, n=0))
        for p in points
        if p.suppressed_accuracy is not None
    ]
    if known:
        yield Line(label="known, suppressed", look=(style.OTHER, style.DASHES[3]), points=known)
