"""The path over the strength of the selection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from hneuro.report.figures.style import FAINT, H_NEURONS, OTHER, RANDOM, Picture, axes, entitle, figure_of
from hneuro.result_records import PathPoint


def path_pictures(path: Sequence[PathPoint]) -> Iterator[Picture]:
    points = sorted(path, key=lambda p: p.strength)
    if len(points) < 2:
        return
    strengths = [p.strength for p in points]
    drawn = axes()
    drawn.plot(strengths, [p.auroc for p in points], color=H_NEURONS, marker="o", markersize=4, label="AUROC")
    drawn.plot(
        strengths, [p.accuracy for p in points], color=RANDOM, marker="s", markersize=3.5, linestyle="--",
        label="accuracy",
    )  # fmt: skip
    entitle(drawn, "On the select split")
    known = [(p.strength, p.suppressed_accuracy) for p in points if p.suppressed_accuracy is not None]
    if known:
        drawn.plot(
            [strength for strength, _ in known], [accuracy for _, accuracy in known], color=OTHER, marker="^",
            markersize=3.5, linestyle="-.", label="known, suppressed",
        )  # fmt: skip
    drawn.set_ylabel("value")
    mark_strengths(drawn, points)
    yield Picture(
        name="path_quality", alt="AUROC and accuracy on the select split over the strength.", figure=figure_of(drawn)
    )
    drawn = axes()
    drawn.plot(
        strengths, [p.nonzero for p in points], color=RANDOM, marker="s", markersize=3.5, linestyle="--",
        label="nonzero weight",
    )  # fmt: skip
    drawn.plot(
        strengths, [p.positive for p in points], color=H_NEURONS, marker="o", markersize=4,
        label="positive weight (H-Neurons)",
    )  # fmt: skip
    drawn.set_yscale("symlog", linthresh=1)
    drawn.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    drawn.set_ylim(bottom=0)
    entitle(drawn, "Neurons selected")
    drawn.set_ylabel("neurons")
    mark_strengths(drawn, points)
    yield Picture(
        name="path_neurons",
        alt="Number of neurons with nonzero and with positive weight over the strength.",
        figure=figure_of(drawn),
    )


def mark_strengths(drawn: Axes, points: Sequence[PathPoint]) -> None:
    """The axis of strengths, with the chosen one."""
    strength_axis(drawn, [p.strength for p in points])
    for chosen in (p for p in points if p.chosen):
        drawn.axvline(chosen.strength, color=FAINT, linewidth=1, linestyle=":", label="chosen")
    drawn.legend(loc="best")


def strength_axis(drawn: Axes, strengths: Sequence[float]) -> None:
    """Logarithmic where they span more than a decade."""
    if min(strengths) > 0 and max(strengths) / min(strengths) > 20:
        drawn.set_xscale("log")
        drawn.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        drawn.xaxis.set_minor_formatter(NullFormatter())
    drawn.set_xlabel("strength (C, or how many were ranked in)")
