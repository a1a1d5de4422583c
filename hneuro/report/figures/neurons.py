"""Where the neurons are, and what one of them did at the answers that it was selected on."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.figures import style
from hneuro.report.figures.style import H_NEURONS, INK, MATCHED, Picture, Spec, finished, layer, numeric, tooltip

HEIGHT = 240  # pixels


def neuron_pictures(compared: Compared) -> Iterator[Picture]:
    """Of one run each neuron at its layer and index; the heavier, the larger. Dragging moves, shift and wheel zoom."""
    found = compared.runs[0].found
    if not (compared.alone and found.neurons):
        return
    records = [
        {"rank": n.rank, "layer": n.layer, "index": n.index, "weight": n.weight, "place": say.layer(n),
         "told": say.number(n.weight), "wrong": say.number(n.cett_wrong, 4), "right": say.number(n.cett_right, 4),
         "often": say.percent(n.frequency, 0)}
        for n in found.neurons
    ]  # fmt: skip
    last = max([len(found.neurons_by_layer) - 1, *(n.layer for n in found.neurons)])
    told = tooltip(place="layer", index="index", told="weight", often="selected in",
                   wrong="CETT wrong", right="CETT right")  # fmt: skip
    ends = {"domain": [-0.5, last + 0.5], "nice": False}
    at = {"x": numeric("layer", title="layer", axis={"tickMinStep": 1}, scale=ends),
          "y": numeric("index", title="index"),
          "size": numeric("weight", scale={"range": [20, 200]}, legend=None)}  # fmt: skip
    points = layer("point", records, at | told, filled=True, opacity=0.7, color=H_NEURONS, cursor="pointer", clip=True)
    zoom = {"type": "interval", "zoom": "wheel![event.shiftKey]"}
    points["params"] = [{"name": "zoomed", "select": zoom, "bind": "scales"}]
    title = f"{len(records):,} H-Neuron{'s' * (len(records) != 1)} by layer and index"
    yield Picture(name="neurons", alt=f"{title}.", figure=finished({"height": HEIGHT, "layer": [points]}, title))


def one_neuron() -> Spec:
    """The CETT of a neuron at wrong and right answers, which the page fills in; the bars are the means."""
    kinds = ["wrong", "right"]
    x = numeric("cett", title="CETT")
    at = {"x": x, "y": style.nominal("kind", title=None, sort=kinds)}
    colour = {"color": style.nominal("kind", scale={"domain": kinds, "range": [H_NEURONS, MATCHED]}, legend=None)}
    offset = {"yOffset": numeric("offset", scale={"domain": [-1, 1]})}
    told = tooltip(question="question", said="said", cett="CETT")
    mean = {"x": x | {"aggregate": "mean"}, "y": at["y"]}
    marks = [
        layer("circle", None, at | colour | offset | told, size=24, opacity=0.6),
        layer("tick", None, mean, thickness=2, color=INK),
    ]
    return finished({"height": 90, "layer": marks}, "At the answers of the fit part")
