"""How firmly the neurons are selected: their frequencies over resamples, and their weights along the path."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.ticker import PercentFormatter

from hneuro.report.figures.path import mark_strengths
from hneuro.report.figures.style import FAINT, H_NEURONS, RANDOM, Picture, axes, entitle, figure_of
from hneuro.report.wording import percent
from hneuro.result_records import Results

MOST = 100  # neurons that are drawn


def stability_pictures(results: Results) -> Iterator[Picture]:
    if results.stability is None or not results.stability.neurons:
        return
    found = results.stability.neurons[:MOST]
    drawn = axes()
    for own, colour, marker, label in ((False, RANDOM, "s", "other neurons"), (True, H_NEURONS, "o", "H-Neurons")):
        at = [place for place, f in enumerate(found, 1) if (f.rank is not None) == own]
        if at:
            shares = [found[place - 1].frequency for place in at]
            drawn.scatter(at, shares, s=16, color=colour, marker=marker, label=label, linewidth=0)
    drawn.axhline(0.5, color=FAINT, linewidth=1, linestyle=":")
    drawn.set_ylim(-0.03, 1.03)
    drawn.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
    entitle(drawn, f"Selected in how many of {results.stability.resamples} resamples")
    drawn.set(xlabel="neurons, most frequent first", ylabel="selection frequency")
    drawn.legend(loc="upper right")
    own_shares = sorted((f.frequency for f in results.stability.neurons if f.rank is not None), reverse=True)
    yield Picture(
        name="stability",
        alt="Selection frequency of each neuron. H-Neurons: " + ", ".join(percent(s, 0) for s in own_shares) + ".",
        figure=figure_of(drawn),
    )


def neuron_path_pictures(results: Results) -> Iterator[Picture]:
    """The weights of the H-Neurons over the strength."""
    points = results.path
    lines = [n for n in results.neurons if len(n.path) == len(points)]
    if len(points) < 2 or not lines:
        return
    drawn = axes()
    strengths = [p.strength for p in points]
    for neuron in lines:
        drawn.plot(strengths, neuron.path, color=H_NEURONS, linewidth=1, alpha=0.75)
    drawn.axhline(0.0, color=FAINT, linewidth=0.8)
    entitle(drawn, "Weight of each H-Neuron")
    drawn.set_ylabel("weight")
    mark_strengths(drawn, points)
    yield Picture(
        name="neuron_paths",
        alt=f"Weights of the {len(lines)} H-Neurons over the strength of the selection.",
        figure=figure_of(drawn),
    )
