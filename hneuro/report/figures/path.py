"""The path over the strength of the selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hneuro.report.compared import Compared
from hneuro.report.figures import style
from hneuro.report.figures.curves import Line, curves
from hneuro.report.wording import with_interval
from hneuro.result_records import Estimate, PathPoint


def path_pictures(compared: Compared) -> Iterator[style.Picture]:
    """AUROC over the strength, a line a run; of one run accuracy and suppression, too. None of paths of one point."""
    runs = [(run, sorted(run.found.path, key=lambda p: p.strength)) for run in compared.runs if len(run.found.path) > 1]
    if not runs:
        return
    lines, rings = [], []
    for look, (run, points) in zip(style.looks(), runs, strict=False):
        label = compared.label(run) or "AUROC"
        lines.append(Line(label=label, look=look, points=[(p.strength, p.estimate("auroc")) for p in points]))
        lines += _others(points) if compared.alone else ()
        rings += [{"x": p.strength, "value": p.auroc, "count": p.positive} for p in points if p.chosen]
    strengths = [x for line in lines for x, _ in line.points]
    wide = min(strengths) > 0 and max(strengths) / min(strengths) > 20  # more than a decade
    x = {"title": "strength (C, or how many were ranked in)", "axis": {"format": "~g", "tickCount": 6, "grid": False},
         "scale": {"type": "log" if wide else "linear", "nice": False}}  # fmt: skip
    y = {"title": "value" if compared.alone else "AUROC", "scale": {"zero": False}}
    at = {"x": style.numeric("x"), "y": style.numeric("value")}
    ring = style.layer("point", rings, at, size=160, strokeWidth=1.5, color=style.INK)
    drawn = curves(lines, x, y, with_interval, 2 if compared.alone else 1)
    drawn = {"height": style.HEIGHT, "layer": [*(style.upright(each["x"]) for each in rings), drawn, ring]}
    counts = [f": {each['count']:,} neuron{'s' * (each['count'] != 1)}" for each in rings if compared.alone]
    figure = style.finished(drawn, f"On the select split (ring: chosen{''.join(counts)})")
    yield style.Picture(name="path", alt="AUROC on the select split over the strength.", figure=figure)


def _others(points: Sequence[PathPoint]) -> Iterator[Line]:
    accuracy = [(p.strength, p.estimate("accuracy")) for p in points]
    yield Line(label="accuracy", look=(style.RANDOM, style.DASHES[1]), points=accuracy)
    known = [(p.strength, p.suppressed_accuracy) for p in points if p.suppressed_accuracy is not None]
    if known:
        no = float("nan")  # interval, nor count
        found = [(strength, Estimate(value=value, low=no, high=no, n=0)) for strength, value in known]
        yield Line(label="known, suppressed", look=(style.OTHER, style.DASHES[3]), points=found)
