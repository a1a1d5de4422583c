"""Figures over runs: every model on one chart."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace

from matplotlib.lines import Line2D

from hneuro.report.across.alpha import LEGEND_LINE, alpha_pictures, look
from hneuro.report.across.compared import Compared
from hneuro.report.figures.detection import safe
from hneuro.report.figures.forest import ForestRow, forest, of
from hneuro.report.figures.path import strength_axis
from hneuro.report.figures.style import H_NEURONS, HEIGHT, MATCHED, RANDOM, Picture, axes, entitle, figure_of
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import missing, number, plain


def pictures(compared: Compared) -> Mapping[str, list[Picture]]:
    """Section -> its figures."""
    return {
        "detection": list(_forests(compared, "detection")),
        "alpha": list(alpha_pictures(compared)),
        "origin": [*_forests(compared, "origin"), *_drift(compared)],
        "path": list(_paths(compared)),
    }


def _forests(compared: Compared, stage: str) -> Iterator[Picture]:
    """One picture a data set: every run with its interval, and the random sets below it."""
    names = compared.names(stage, "auroc")
    where = "" if stage == "detection" else ", base model"
    for name in names:
        rows: list[ForestRow] = []
        for run in compared.runs:
            own = run.tidy.one(stage, "auroc", name, "h_neurons")
            if own is None or missing(own.value):
                continue
            rows.append(of(own, _wrapped(compared.label(run)), H_NEURONS))
            random = run.tidy.one(stage, "auroc", name, "h_neurons/random")
            if random is not None:
                rows.append(replace(of(random, "random", RANDOM), below=True))
        if rows:
            drawn = forest(rows, f"{plain(name)}{where}", "AUROC", CHANCE)
            drawn.set_xlim(right=1.02)
            yield Picture(
                name=f"{'detection' if stage == 'detection' else 'origin_transfer'}_{safe(name)}",
                alt=f"AUROC on {plain(name)}{where}: " + ", ".join(f"{r.label} {number(r.value)}" for r in rows) + ".",
                figure=figure_of(drawn),
            )


def _drift(compared: Compared) -> Iterator[Picture]:
    rows: list[ForestRow] = []
    for run in compared.runs:
        own = run.tidy.one("origin", "drift_rank", "parameters", "h_neurons")
        if own is not None and not missing(own.value):
            rows.append(of(own, _wrapped(compared.label(run)), H_NEURONS))
            matched = run.tidy.one("origin", "drift_rank", "parameters", "h_neurons/layer_matched")
            if matched is not None:
                rows.append(replace(of(matched, "same layers", MATCHED), below=True))
    if rows:
        drawn = forest(rows, "Drift rank", "0 = changed most, 1 = least", CHANCE)
        drawn.set_xlim(-0.03, 1.03)
        yield Picture(
            name="origin_drift",
            alt="Mean drift rank: " + ", ".join(f"{r.label} {number(r.value)}" for r in rows) + ".",
            figure=figure_of(drawn),
        )


def _paths(compared: Compared) -> Iterator[Picture]:
    """AUROC on the select split over C, a line a run; none where no path has two points."""
    paths = {
        place: sorted(run.results.path, key=lambda point: point.strength)
        for place, run in enumerate(compared.runs)
        if run.results and len(run.results.path) > 1
    }
    if not paths:
        return
    below = 0.5 + LEGEND_LINE * len(paths)
    drawn = axes(height=HEIGHT - 0.45 + below, bottom=below)
    handles = []
    for place, points in paths.items():
        style, label = look(place), compared.label(compared.runs[place])
        x, y = [point.strength for point in points], [point.auroc for point in points]
        drawn.plot(x, y, color=style.colour, marker=style.marker, markersize=3, linewidth=1.3, linestyle=style.dash)
        chosen = [(point.strength, point.auroc) for point in points if point.chosen]
        drawn.scatter([c[0] for c in chosen], [c[1] for c in chosen], s=60, facecolor="none", edgecolor=style.colour)
        handles.append(
            Line2D([], [], color=style.colour, marker=style.marker, markersize=3, linestyle=style.dash, label=label)
        )
    entitle(drawn, "On the select split (ring: chosen)")
    drawn.set_ylabel("AUROC")
    strength_axis(drawn, [point.strength for points in paths.values() for point in points])
    figure_of(drawn).legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, -0.01), fontsize=7.5)
    yield Picture(name="path_auroc", alt="AUROC on the select split over C, a line a run.", figure=figure_of(drawn))


def _wrapped(label: str) -> str:
    """In two lines beside the axis, where a name is long."""
    return "\n".join(textwrap.wrap(label, 18)[:3])
