"""When do the neurons appear? AUROC and drift over the checkpoints on the way to the base model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes

from hneuro.report.figures.detection import safe
from hneuro.report.figures.style import FAINT, H_NEURONS, INK, MATCHED, RANDOM, Picture, axes, entitle, figure_of
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import BASE, CHANCE
from hneuro.report.wording import missing, number, plain
from hneuro.result_records import ResultRow


def moment_pictures(tidy: Tidy) -> Iterator[Picture]:
    """One picture a data set, and one of the drift; nothing without checkpoints."""
    for dataset in tidy.datasets("moments", "auroc"):
        own, random = _over(tidy, "auroc", dataset, "h_neurons"), _over(tidy, "auroc", dataset, "h_neurons/random")
        drawn = axes(bottom=0.62)
        drawn.axhline(CHANCE, color=INK, linewidth=0.8, linestyle=":")
        _line(drawn, random, RANDOM, "random neurons, mean")
        _line(drawn, own, H_NEURONS, "H-Neurons")
        drawn.set_ylim(min([0.4, *(row.low for row in own if row and row.low is not None)]) - 0.02, 1.02)
        yield _finished(drawn, tidy, f"moments_{safe(dataset)}", f"When do they appear? {plain(dataset)}", "AUROC", own)
    own = _over(tidy, "drift_z", "parameters", "h_neurons")
    if tidy.moments and any(own):
        drawn = axes(bottom=0.62)
        drawn.axhline(0.0, color=INK, linewidth=0.8, linestyle=":")
        matched = _over(tidy, "drift_z", "parameters", "h_neurons/layer_matched")
        _line(drawn, matched, MATCHED, "same layers")
        _line(drawn, own, H_NEURONS, "H-Neurons")
        yield _finished(drawn, tidy, "moments_drift", "Distance to chat (below 0: less)", "z in its layer", own)


def _over(tidy: Tidy, metric: str, dataset: str, condition: str) -> list[ResultRow | None]:
    return [tidy.at(moment, metric, dataset, condition) for moment in (*tidy.moments, BASE)]


def _line(drawn: Axes, rows: Sequence[ResultRow | None], colour: str, label: str) -> None:
    """Values over the moments, each with its interval; what was not measured leaves a gap."""
    known = [(x, row) for x, row in enumerate(rows) if row is not None and not missing(row.value)]
    drawn.plot(
        [x for x, _ in known], [row.value for _, row in known], color=colour, marker="o", markersize=4, label=label
    )
    for x, row in known:
        if row.low is not None and row.high is not None and not missing(row.low):
            drawn.plot([x, x], [row.low, row.high], color=colour, linewidth=1.4, solid_capstyle="butt")


def _finished(drawn: Axes, tidy: Tidy, name: str, title: str, label: str, own: Sequence[ResultRow | None]) -> Picture:
    names = [plain(moment) for moment in (*tidy.moments, BASE)]
    drawn.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7.5)
    drawn.set_ylabel(label)
    entitle(drawn, title)
    drawn.legend(loc="best")
    known = [row for row in own if row is not None]
    drawn.set_title(f"n = {known[0].n}", loc="right", fontsize=8, color=FAINT)
    values = ", ".join(f"{name} {number(row.value)}" for name, row in zip(names, own, strict=True) if row is not None)
    return Picture(name=name, alt=f"{title} {label}: {values}.", figure=figure_of(drawn))
