"""Where the H-Neurons sit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.ticker import MaxNLocator

from hneuro.report.figures.style import FAINT, H_NEURONS, INK, Picture, axes, entitle, figure_of
from hneuro.result_records import NeuronRow, Results


def layer_pictures(results: Results) -> Iterator[Picture]:
    if sum(results.neurons_by_layer):
        yield _counts(results.neurons_by_layer)
    if results.neurons:
        yield _weights(results.neurons, len(results.neurons_by_layer))


def _counts(counts: Sequence[int]) -> Picture:
    drawn = axes()
    drawn.bar(range(len(counts)), counts, width=0.8, color=H_NEURONS)
    even = sum(counts) / len(counts)
    drawn.axhline(even, color=INK, linestyle="--", linewidth=1, label="even spread")
    drawn.legend(loc="upper left", ncols=2)
    drawn.set_ylim(0, 1.25 * max(counts))
    entitle(drawn, "H-Neurons in each layer")
    drawn.set(xlabel="layer (0 at the input)", ylabel="neurons")
    drawn.set_xlim(-0.6, len(counts) - 0.4)
    drawn.grid(visible=False, axis="x")
    drawn.xaxis.set_major_locator(MaxNLocator(integer=True))
    drawn.yaxis.set_major_locator(MaxNLocator(integer=True))
    each = ", ".join(f"layer {layer}: {count}" for layer, count in enumerate(counts) if count)
    return Picture(name="layers", alt=f"Number of H-Neurons in each layer. {each}.", figure=figure_of(drawn))


def _weights(neurons: Sequence[NeuronRow], n_layers: int) -> Picture:
    drawn = axes()
    drawn.vlines([n.layer for n in neurons], 0, [n.weight for n in neurons], color=FAINT, linewidth=0.5, alpha=0.5)
    drawn.scatter(
        [n.layer for n in neurons], [n.weight for n in neurons], s=22, color=H_NEURONS, edgecolor=INK, linewidth=0.4
    )
    entitle(drawn, "Their weights in the probe")
    drawn.set(xlabel="layer (0 at the input)", ylabel="weight")
    drawn.set_xlim(-0.6, max(n_layers, 1 + max(n.layer for n in neurons)) - 0.4)
    drawn.set_ylim(0, 1.12 * max(n.weight for n in neurons))
    drawn.grid(visible=False, axis="x")
    drawn.xaxis.set_major_locator(MaxNLocator(integer=True))
    return Picture(name="weights", alt="Weight of each H-Neuron in the probe over its layer.", figure=figure_of(drawn))
