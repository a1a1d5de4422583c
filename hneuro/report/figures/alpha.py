"""Alpha curves: each benchmark under each neuron set with its controls, every run on one chart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from hneuro.report.compared import Compared
from hneuro.report.figures.style import FAINT, Picture, axes, below, colour_of, entitle, figure_of, lines, safe
from hneuro.report.folders import Run
from hneuro.report.tidy import Tidy
from hneuro.report.wording import READINGS, condition_name, missing, percent, plain
from hneuro.result_records import ResultRow

SMALLEST_SPAN = 0.3  # of the y axis, so that noise does not look like an effect
STYLES: Mapping[str, Literal["-", "--", ":", "-."]] = {
    "random": "-",
    "layer_matched": "--",
    "contribution_matched": ":",
    "norm_matched": "-.",
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What scaling a neuron set by alpha does to one reading of one benchmark in one run."""

    run: Run
    benchmark: str
    metric: str
    neuron_set: str
    rows: Sequence[ResultRow]  # ascending in alpha, two at least

    @property
    def title(self) -> str:
        whose = "" if self.neuron_set == "h_neurons" else f", {condition_name(self.neuron_set)}"
        return f"{plain(self.benchmark)}: {READINGS[self.metric]}{whose}"


def charts(compared: Compared) -> dict[str, list[Curve]]:
    """Title -> the curves of every run; neuron sets alone, not their controls."""
    found: dict[str, list[Curve]] = {}
    for run in compared.runs:
        for neuron_set in pictured(run.tidy):
            for benchmark in run.tidy.benchmarks:
                for metric in run.tidy.readings(benchmark):
                    rows = measured(run.tidy.curve(metric, benchmark, neuron_set, None))
                    if len(rows) > 1:
                        curve = Curve(run=run, benchmark=benchmark, metric=metric, neuron_set=neuron_set, rows=rows)
                        found.setdefault(curve.title, []).append(curve)
    return found


def pictured(tidy: Tidy) -> list[str]:
    """The neuron sets that have controls; of the others the numbers are in the tables."""
    controlled = [name for name in tidy.neuron_sets if any(tidy.controls("causal", b, name) for b in tidy.benchmarks)]
    return controlled or tidy.neuron_sets


def alpha_pictures(compared: Compared) -> Iterator[Picture]:
    """One picture for each (benchmark, reading, neuron set); both readings of a benchmark have the same scale."""
    for title, curves in charts(compared).items():
        drawn = axes(legend=2 if compared.alone else len(curves))
        for line, curve in zip(lines(), curves, strict=False):
            own = condition_name(curve.neuron_set) if compared.alone else compared.label(curve.run)
            _controls(drawn, curve, None if compared.alone else str(line["color"]))
            _line(drawn, curve, line, f"{own} (n = {max(row.n for row in curve.rows)})")
        drawn.axvline(1.0, color=FAINT, linewidth=0.8, linestyle=":")
        drawn.set_ylim(*_limits(compared, curves[0].benchmark))
        drawn.set_xticks(sorted({row.alpha for curve in curves for row in curve.rows if row.alpha is not None}))
        drawn.yaxis.set_major_formatter(PercentFormatter(xmax=1.0, decimals=0))
        entitle(drawn, title)
        drawn.set_xlabel("alpha (1 = untouched)")
        below(drawn, 2 if compared.alone else 1)
        name = "" if curves[0].neuron_set == "h_neurons" else f"_{safe(curves[0].neuron_set)}"
        told = (", ".join(f"{percent(r.value)} at alpha {r.alpha:g}" for r in curve.rows) for curve in curves)
        yield Picture(
            name=f"alpha_{safe(curves[0].benchmark)}_{curves[0].metric}{name}",
            alt=f"{title} over alpha: {'; '.join(told)}.",
            figure=figure_of(drawn),
        )


def _controls(drawn: Axes, curve: Curve, colour: str | None) -> None:
    """Each control set as a thin line: of one run in the colour of its kind, of many in that of the run."""
    tidy = curve.run.tidy
    for control in tidy.controls("causal", curve.benchmark, curve.neuron_set):
        label = None if colour else short(control)
        for seed in tidy.seeds(curve.metric, curve.benchmark, control):
            rows = measured(tidy.curve(curve.metric, curve.benchmark, control, seed))
            style = ":" if colour else STYLES[control.rpartition("/")[2]]
            drawn.plot(
                *xy(rows), color=colour or colour_of(control), linewidth=0.8, linestyle=style, alpha=0.6, label=label
            )
            label = None


def _line(drawn: Axes, curve: Curve, look: Mapping[str, Any], label: str) -> None:
    low, high = ([getattr(row, bound) for row in curve.rows] for bound in ("low", "high"))
    if None not in (*low, *high):
        drawn.fill_between(xy(curve.rows)[0], low, high, color=look["color"], alpha=0.15, linewidth=0)
    drawn.plot(*xy(curve.rows), **look, markersize=4, label=label)


def short(control: str) -> str:
    """ "layer-matched"."""
    return condition_name(control).partition(",")[0].removesuffix(" neurons")


def xy(rows: Sequence[ResultRow]) -> tuple[list[float], list[float]]:
    """Alphas and values."""
    return [row.alpha for row in rows if row.alpha is not None], [row.value for row in rows]


def measured(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Rows whose value is a number."""
    return [row for row in rows if not missing(row.value)]


def _limits(compared: Compared, benchmark: str) -> tuple[float, float]:
    values = [
        v
        for _, r in compared.rows()
        if r.stage == "causal" and r.dataset == benchmark and r.metric in READINGS and r.alpha is not None
        for v in ((r.low, r.value, r.high) if "/" not in r.condition else (r.value,))
        if v is not None and not missing(v)
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = max(SMALLEST_SPAN, high - low) + 0.04
    bottom = min(max((low + high - span) / 2, -0.02), 1.02 - span)
    return bottom, bottom + span
