"""Mechanism: a forest of all signals, sparsity layer by layer, and the transfer matrix."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from hneuro.report.figures.detection import safe
from hneuro.report.figures.forest import forest, of
from hneuro.report.figures.style import FAINT, H_NEURONS, RANDOM, Picture, axes, colour_of, entitle, figure_of
from hneuro.report.tables.mechanism import SPARSITY, STAGE, transfer_cell
from hneuro.report.tidy import Tidy
from hneuro.report.verdicts import CHANCE
from hneuro.report.wording import condition_name, missing, number, percent, plain

CELL = 0.42  # inches of a square of the matrix


def signal_pictures(tidy: Tidy) -> Iterator[Picture]:
    """One picture a data set, all on the same scale; a signal that was not measured has an empty line."""
    measured = [r for r in tidy.results.rows if (r.stage, r.metric) == (STAGE, "auroc")]
    values = [v for r in measured for v in (r.value, r.low) if v is not None and not missing(v)]
    low = min([CHANCE, *values]) - 0.03
    for dataset in tidy.datasets(STAGE, "auroc"):
        found = [r for r in (tidy.one(STAGE, "auroc", dataset, c) for c in tidy.conditions(STAGE, "auroc")) if r]
        rows = [of(r, condition_name(r.condition), colour_of(r.condition)) for r in found]
        drawn = forest(rows, plain(dataset), "AUROC", CHANCE, n=max(r.n for r in found))
        drawn.set_xlim(low, 1.02)
        yield Picture(
            name=f"mechanism_{safe(dataset)}",
            alt=f"AUROC on {plain(dataset)}: " + ", ".join(f"{r.label} {number(r.value)}" for r in rows) + ".",
            figure=figure_of(drawn),
        )


def sparsity_pictures(tidy: Tidy) -> Iterator[Picture]:
    """Layer by layer, for each data set: the share of the neurons that does most of the work, and Hoyer's index."""
    for dataset in dict.fromkeys(name for measure in SPARSITY for name in tidy.datasets(STAGE, measure)):
        for measure in SPARSITY:
            drawn, said = axes(), []
            show = percent if measure == "active_share" else number
            for side, colour, marker in (("hallucinated", H_NEURONS, "o"), ("faithful", RANDOM, "s")):
                rows = tidy.rows(STAGE, measure, dataset, side)
                layers = [r for r in rows if r.stratum.startswith("layer ") and not missing(r.value)]
                if not layers:
                    continue
                at = [int(r.stratum.removeprefix("layer ")) for r in layers]
                drawn.plot(at, [r.value for r in layers], color=colour, marker=marker, markersize=3.5, label=side)
                lows = [r.value if r.low is None else r.low for r in layers]
                highs = [r.value if r.high is None else r.high for r in layers]
                drawn.fill_between(at, lows, highs, color=colour, alpha=0.2, linewidth=0)
                said.append(f"{side} " + ", ".join(show(r.value, 0 if show is percent else 2) for r in layers))
            if not said:
                continue  # no layer has a value
            drawn.set_xlabel("layer (0 at the input)")
            if measure == "active_share":
                name, what = "sparsity", "Share of each layer's neurons that carry 90 % of the contribution"
                entitle(drawn, f"Neurons that carry 90 %: {plain(dataset)}")
                drawn.set_ylabel("share of the layer")
                drawn.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
            else:
                name, what = measure, "Hoyer's index of each layer"
                entitle(drawn, f"Sparsity (Hoyer): {plain(dataset)}")
                drawn.set_ylabel("1 = one neuron does it all")
            drawn.xaxis.set_major_locator(MaxNLocator(integer=True))
            drawn.legend(loc="best")
            yield Picture(
                name=f"{name}_{safe(dataset)}",
                alt=f"{what} on {plain(dataset)}: {'; '.join(said)}.",
                figure=figure_of(drawn),
            )


def transfer_pictures(tidy: Tidy) -> Iterator[Picture]:
    """The transfer matrix as squares, the darker the further above chance."""
    tested = tidy.datasets(STAGE, "transfer_auroc")
    cells = {(s, t): transfer_cell(tidy, s, t) for s in tidy.datasets(STAGE, "neurons") for t in tested}
    sources = [s for s in tidy.datasets(STAGE, "neurons") if any(cells[s, t] is not None for t in tested)]
    if not sources:
        return
    drawn = axes(height=0.45 + 0.95 + CELL * len(sources), left=1.25, bottom=0.95, top=0.45)
    for y, source in enumerate(sources):
        for x, dataset in enumerate(tested):
            row = cells[source, dataset]
            value = None if row is None or missing(row.value) else row.value
            strength = 0.0 if value is None else min(max(2 * (value - CHANCE), 0.0), 1.0)
            drawn.add_patch(
                Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=H_NEURONS, alpha=0.75 * strength, linewidth=0)
            )
            drawn.text(x, y, number(value, 2), ha="center", va="center", fontsize=8)
    drawn.set(xlim=(-0.5, len(tested) - 0.5), ylim=(len(sources) - 0.5, -0.5), xlabel="tested on")
    drawn.set_xticks(range(len(tested)), [plain(t) for t in tested], rotation=20, ha="right")
    drawn.set_yticks(range(len(sources)), [plain(s) for s in sources])
    drawn.tick_params(length=0)
    drawn.grid(visible=False)
    for spine in drawn.spines.values():
        spine.set_color(FAINT)
    entitle(drawn, "AUROC of neurons found on each set (rows)")
    said = (f"{plain(s)} on {plain(t)} {number(row.value, 2)}" for (s, t), row in cells.items() if row is not None)
    yield Picture(name="mechanism_transfer", alt=f"AUROC: {', '.join(said)}.", figure=figure_of(drawn))
