"""The reliability curve: how many of the answers of a risk are hallucinated."""

from __future__ import annotations

from collections.abc import Iterator

from hneuro.report.figures.detection import safe
from hneuro.report.figures.style import H_NEURONS, INK, OTHER, Picture, axes, entitle, figure_of
from hneuro.report.tidy import Tidy
from hneuro.report.wording import condition_name, number, plain

SHOWN = {"h_neurons": (H_NEURONS, "o"), "logprob": (OTHER, "s")}


def calibration_pictures(tidy: Tidy) -> Iterator[Picture]:
    for dataset in tidy.datasets("calibration", "reliability"):
        drawn, said = axes(), []
        drawn.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for condition, (colour, marker) in SHOWN.items():
            rows = tidy.rows("calibration", "reliability", dataset, condition)
            if not rows:
                continue
            risks = [float(r.stratum) for r in rows]
            for risk, row in zip(risks, rows, strict=True):
                if row.low is not None and row.high is not None:
                    drawn.plot([risk, risk], [row.low, row.high], color=colour, linewidth=1, alpha=0.6)
            label = condition_name(condition)
            drawn.plot(risks, [r.value for r in rows], color=colour, marker=marker, markersize=4, label=label)
            pairs = (f"{number(risk, 2)} {number(row.value, 2)}" for risk, row in zip(risks, rows, strict=True))
            said.append(f"{label}: {', '.join(pairs)}")
        drawn.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="risk that the detector states")
        drawn.set_ylabel("share hallucinated")
        drawn.legend(loc="best")
        entitle(drawn, f"Is the risk right? {plain(dataset)}")
        alt = f"Risk and share hallucinated on {plain(dataset)}; {'; '.join(said)}."
        yield Picture(name=f"calibration_{safe(dataset)}", alt=alt, figure=figure_of(drawn))
