"""More and more random neurons: how nearly they read as well, and where the neuron sets of the run stand."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.ticker import FuncFormatter, NullFormatter

from hneuro.report.figures.detection import safe
from hneuro.report.figures.style import H_NEURONS, INK, OTHER, RANDOM, Picture, axes, entitle, figure_of
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import condition_name, missing, number, plain

METRIC = "auroc_by_size"


def growth_pictures(tidy: Tidy) -> Iterator[Picture]:
    """One picture a data set whose AUROC could be measured."""
    for dataset in tidy.datasets("detection", METRIC):
        random = [r for r in tidy.rows("detection", METRIC, dataset, "random") if not missing(r.value)]
        if not random:
            continue
        drawn = axes()
        drawn.axhline(CHANCE, color=INK, linewidth=0.8, linestyle=":")
        sizes = [int(r.stratum) for r in random]
        lows = [r.value if r.low is None else r.low for r in random]
        highs = [r.value if r.high is None else r.high for r in random]
        drawn.fill_between(sizes, lows, highs, color=RANDOM, alpha=0.2, linewidth=0)
        drawn.plot(sizes, [r.value for r in random], color=RANDOM, marker="o", markersize=3.5, label="random neurons")
        said = [f"{r.stratum} random {number(r.value, 2)}" for r in random]
        for name in tidy.neuron_sets:
            for row in tidy.rows("detection", METRIC, dataset, name):
                at, colour = int(row.stratum), H_NEURONS if name == "h_neurons" else OTHER
                if row.low is not None and row.high is not None:
                    drawn.plot([at, at], [row.low, row.high], color=colour, linewidth=1.6, solid_capstyle="butt")
                label = condition_name(name)
                drawn.plot([at], [row.value], color=colour, marker="D", markersize=5, linewidth=0, label=label)
                said.append(f"{row.stratum} {condition_name(name)} {number(row.value, 2)}")
        drawn.set_xscale("log")
        drawn.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
        drawn.xaxis.set_minor_formatter(NullFormatter())
        drawn.set_xlabel("neurons")
        drawn.set_ylabel("AUROC")
        drawn.legend(loc="best")
        entitle(drawn, f"How many random neurons: {plain(dataset)}")
        alt = f"AUROC on {plain(dataset)}: {', '.join(said)}."
        yield Picture(name=f"growth_{safe(dataset)}", alt=alt, figure=figure_of(drawn))
