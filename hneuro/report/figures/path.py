"""The path over the strength of the selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from hneuro.report.compared import Compared
from hneuro.report.figures.style import FAINT, OTHER, RANDOM, Picture, axes, below, entitle, figure_of, lines
from hneuro.result_records import PathPoint


def path_pictures(compared: Compared) -> Iterator[Picture]:
    """AUROC over the strength, a line a run; of one run accuracy and suppression, too. None of paths of one point."""
    runs = [(run, sorted(run.found.path, key=lambda p: p.strength)) for run in compared.runs if len(run.found.path) > 1]
    if not runs:
        return
    drawn = axes(legend=2 if compared.alone else len(runs))
    for line, (run, points) in zip(lines(), runs, strict=False):
        x, y = [p.strength for p in points], [p.auroc for p in points]
        drawn.plot(x, y, **line, markersize=3.5, label=compared.label(run) or "AUROC")
        chosen = [(p.strength, p.auroc) for p in points if p.chosen]
        drawn.scatter([c[0] for c in chosen], [c[1] for c in chosen], s=60, facecolor="none", edgecolor=line["color"])
        if compared.alone:
            _others(drawn, points)
    entitle(drawn, "On the select split (ring: chosen)")
    drawn.set_ylabel("value" if compared.alone else "AUROC")
    strengths = [p.strength for _, points in runs for p in points]
    if min(strengths) > 0 and max(strengths) / min(strengths) > 20:  # more than a decade
        drawn.set_xscale("log")
        drawn.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        drawn.xaxis.set_minor_formatter(NullFormatter())
    drawn.set_xlabel("strength (C, or how many were ranked in)")
    below(drawn, 2 if compared.alone else 1)
    yield Picture(name="path", alt="AUROC on the select split over the strength.", figure=figure_of(drawn))


def _others(drawn: Axes, points: Sequence[PathPoint]) -> None:
    known = {p.strength: p.suppressed_accuracy for p in points if p.suppressed_accuracy is not None}
    drawn.plot([p.strength for p in points], [p.accuracy for p in points], color=RANDOM, marker="s", markersize=3.5,
               linestyle="--", label="accuracy")  # fmt: skip
    if known:
        drawn.plot(list(known), list(known.values()), color=OTHER, marker="^", markersize=3.5, linestyle="-.",
                   label="known, suppressed")  # fmt: skip
    for chosen in (p for p in points if p.chosen):
        label = f"chosen: {chosen.positive:,} neurons"
        drawn.axvline(chosen.strength, color=FAINT, linewidth=1, linestyle=":", label=label)
