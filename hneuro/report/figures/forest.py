"""Rows of values with intervals, and of control draws as dots: detection, changes and origin against their controls."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import count

from hneuro.report.compared import Compared
from hneuro.report.figures import style
from hneuro.report.figures.alpha import short
from hneuro.report.figures.style import Picture, Spec, colour_of, safe
from hneuro.report.folders import Run
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import READINGS, condition_name, missing, number, plain, points_interval, with_interval
from hneuro.result_records import ResultRow

LINE, LABEL = 11, 30  # pixels and characters of a line of a label


def of(
    row: ResultRow, label: str, colour: str, hollow: bool = False, below: bool = False, points: bool = False
) -> Spec:
    """A value with its interval; `below`: it belongs to the row above it; `points`: in percentage points."""
    scale = 100 if points else 1
    ends = (row.value if end is None or missing(end) else end for end in (row.value, row.low, row.high))
    x, low, high = (scale * end for end in ends)
    said = points_interval(row) if points else with_interval(row)
    return {"label": label, "below": below, "colour": colour, "fill": style.PAPER if hollow else colour, "x": x,
            "low": low, "high": high, "said": said, "n": f"{row.n:,}"}  # fmt: skip


def dots(values: Sequence[float], label: str, colour: str) -> Spec:
    """The draws of a control. They spread by rank, not at random: the same picture every time."""
    offsets = (place * 0.618034 % 1 - 0.5 for place in count())
    drawn = [{"x": x, "said": f"{x:.3g}", "offset": offset} for x, offset in zip(sorted(values), offsets, strict=False)]
    return {"label": label, "below": True, "colour": colour, "draws": drawn}


def forest(
    rows: Sequence[Spec], title: str, xlabel: str, chance: float, n: int | None = None, ends: Sequence[float] = ()
) -> Spec:
    """The first row on top; `chance` is the upright line of no effect, `n` their count, `ends` those of the axis."""
    labels = [textwrap.wrap(row["label"], LABEL) or [""] for row in rows]
    # A key is the place, "-" where the row belongs to the one above, and the label: the same label may come again.
    keys = [f"{place:03d}{'-' if row['below'] else ' '}" for place, row in enumerate(rows)]
    keys = [key + "\n".join(label) for key, label in zip(keys, labels, strict=True)]
    keyed = [row | {"row": key} for row, key in zip(rows, keys, strict=True)]
    faint = {"condition": {"test": "datum.value[3] == '-'", "value": style.FAINT}, "value": style.INK}
    axis = {"labelExpr": "split(slice(datum.value, 4), '\\n')", "labelLimit": 0, "labelLineHeight": LINE,
            "ticks": False, "domain": False, "labelColor": faint}  # fmt: skip
    x = style.numeric("x", title=xlabel, scale={"domain": [*ends], "nice": False} if ends else {"zero": False})
    at = {"y": style.nominal("row", sort=None, title=None, axis=axis, scale={"domain": keys}), "x": x}
    at["color"] = style.nominal("colour", scale=None)
    found = [row for row in keyed if not missing(row.get("x"))]
    draws = [row | draw for row in keyed for draw in row.pop("draws", ())]
    offset = {"yOffset": style.numeric("offset", scale={"domain": [-1, 1]})}
    told = style.tooltip(label="row", said="value [95 %]", n="n")
    lines = [
        style.upright(chance),
        style.layer("circle", draws, at | offset | style.tooltip(label="row", said="a set"), size=14, opacity=0.7),
        style.layer("rule", found, at | {"x": x | {"field": "low"}, "x2": {"field": "high"}}, strokeWidth=2),
        style.layer("point", found, at | told | {"fill": style.nominal("fill", scale=None)}, size=50, opacity=1),
    ]
    height = len(rows) * (7 + LINE * max(len(label) for label in labels))
    return style.finished({"height": height, "layer": style.shown(lines)}, title, n)


def _picture(name: str, drawn: Spec, title: str, rows: Sequence[Spec], digits: int = 3) -> Picture:
    told = ", ".join(f"{row['label']} {number(row['x'], digits)}" for row in rows if "x" in row)
    return Picture(name=name, alt=f"{title}: {told}.", figure=drawn)


def detection_pictures(compared: Compared) -> Iterator[Picture]:
    """One picture a data set, all on the same scale: of one run every detector, of many their H-Neurons."""
    every = [r for _, r in compared.rows() if (r.stage, r.metric) == ("detection", "auroc")]
    low = min([CHANCE, *(v for r in every for v in (r.value, r.low) if v is not None and not missing(v))]) - 0.03
    for dataset in compared.names("detection", "auroc"):
        own = [r for r in every if r.dataset == dataset]
        if all(missing(r.value) for r in own):
            continue
        rows = [row for run in compared.runs for row in _detectors(compared, run, dataset)]
        answers = max((r.n for r in own if "/" not in r.condition), default=0)  # of controls n counts sets
        n = answers if compared.alone else None
        drawn = forest(rows, plain(dataset), "AUROC", CHANCE, n, (low, 1.02))
        yield _picture(f"detection_{safe(dataset)}", drawn, f"AUROC on {plain(dataset)}", rows)


def _detectors(compared: Compared, run: Run, dataset: str) -> Iterator[Spec]:
    for name in run.tidy.conditions("detection", "auroc") if compared.alone else ("h_neurons", "h_neurons/random"):
        row = run.tidy.one("detection", "auroc", dataset, name)
        if row is not None:
            control = "/" in name
            label = compared.label(run) if not (compared.alone or control) else condition_name(name)
            yield of(row, label, colour_of(name), below=control and not compared.alone)


def change_pictures(tidy: Tidy, neuron_set: str) -> Iterator[Picture]:
    """The change from the lowest to the highest alpha and the changes under the controls, one picture a reading."""
    for metric in READINGS:
        rows: list[Spec] = []
        counts: list[int] = []
        for benchmark in tidy.datasets("causal", f"change_{metric}"):
            own = tidy.one("causal", f"change_{metric}", benchmark, neuron_set)
            if own is None or missing(own.value):
                continue
            counts.append(own.n)
            rows.append(of(own, plain(benchmark), style.H_NEURONS, points=True))
            for control in tidy.controls("causal", benchmark, neuron_set):
                draws = tidy.draws("causal", f"change_{metric}", benchmark, control)
                values = [100 * r.value for r in draws if not missing(r.value)]
                rows.append(dots(values, short(control), colour_of(control)))
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
            title = f"AUROC of the chat model's detector on {plain(dataset)}"
            yield _picture(f"origin_transfer_{safe(dataset)}", drawn, title, rows)
    if means := [row for run in compared.runs for row in _drift(compared, run)]:
        drawn = forest(means, "Drift rank", "0 = changed most, 1 = least", 0.5, ends=(-0.03, 1.03))
        yield _picture("origin_drift", drawn, "Mean drift ranks", means)


def _transfer(compared: Compared, run: Run, dataset: str) -> Iterator[Spec]:
    own = run.tidy.one("origin", "auroc", dataset, "h_neurons")
    if own is None or missing(own.value):
        return
    yield of(own, compared.label(run) or "H-Neurons", style.H_NEURONS)
    for stage, condition, label, colour in (
        ("origin", "h_neurons/random", "random neurons", style.RANDOM),
        ("origin", "base_probe", "own probe", style.OTHER),
        ("detection", "h_neurons", "on chat", style.H_NEURONS),
    ):
        if row := run.tidy.one(stage, "auroc", dataset, condition):
            yield of(row, label, colour, hollow=stage == "detection", below=True)


def _drift(compared: Compared, run: Run) -> Iterator[Spec]:
    """The mean rank, below it that of each neuron of a single run and that of neurons of the same layers."""
    ranks = [n.drift_rank for n in run.found.neurons if n.drift_rank is not None and not missing(n.drift_rank)]
    names = ("h_neurons", "h_neurons/layer_matched")
    own, matched = (run.tidy.one("origin", "drift_rank", "parameters", name) for name in names)
    if own is not None and not missing(own.value):
        yield of(own, compared.label(run) or "mean", style.H_NEURONS)
        if ranks:
            yield dots(ranks, "each H-Neuron", style.H_NEURONS)
        if matched is not None:
            yield of(matched, "same layers", style.MATCHED, below=True)
