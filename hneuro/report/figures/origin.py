"""Origin: the chat model's detector on the base model, and how far the H-Neurons' weights moved."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report.figures.forest import ForestRow, forest, of
from hneuro.report.figures.style import H_NEURONS, MATCHED, OTHER, RANDOM, Picture, figure_of
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import missing, number, plain


def origin_pictures(tidy: Tidy) -> Iterator[Picture]:
    if rows := _transfer(tidy):
        drawn = forest(rows, "Backward transfer", "AUROC", CHANCE)
        drawn.set_xlim(right=1.02)
        yield Picture(
            name="origin_transfer",
            alt="AUROC of the chat model's detector: " + ", ".join(f"{r.label} {number(r.value)}" for r in rows) + ".",
            figure=figure_of(drawn),
        )
    ranks = [n.drift_rank for n in tidy.results.neurons if n.drift_rank is not None and not missing(n.drift_rank)]
    mean = tidy.one("origin", "drift_rank", "parameters", "h_neurons")
    if ranks and mean is not None:
        each = ForestRow(label="each H-Neuron", colour=H_NEURONS, draws=tuple(ranks))
        matched = tidy.one("origin", "drift_rank", "parameters", "h_neurons/layer_matched")
        rows = [each, of(mean, "their mean", H_NEURONS), *([of(matched, "same layers", MATCHED)] if matched else [])]
        drawn = forest(rows, "Drift rank", "0 = changed most, 1 = least", 0.5, n=len(ranks))
        drawn.set_xlim(-0.03, 1.03)
        yield Picture(
            name="origin_drift",
            alt=f"Drift ranks of the H-Neurons, mean {number(mean.value)}.",
            figure=figure_of(drawn),
        )


def _transfer(tidy: Tidy) -> list[ForestRow]:
    rows = []
    for dataset in tidy.datasets("origin", "auroc"):
        on_base = tidy.one("origin", "auroc", dataset, "h_neurons")
        on_chat = tidy.one("detection", "auroc", dataset, "h_neurons")
        random = tidy.one("origin", "auroc", dataset, "h_neurons/random")
        own = tidy.one("origin", "auroc", dataset, "base_probe")
        if on_base is None:
            continue
        if on_chat is not None:
            rows.append(of(on_chat, f"{plain(dataset)}, chat", H_NEURONS, hollow=True))
        rows.append(of(on_base, f"{plain(dataset)}, base", H_NEURONS))
        if random is not None:
            rows.append(of(random, "random neurons, base", RANDOM))
        if own is not None:
            rows.append(of(own, "own probe, base", OTHER))
    return rows
