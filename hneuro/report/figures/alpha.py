"""Alpha curves: each benchmark under each neuron set with its controls, every run on one chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hneuro.report.compared import Compared
from hneuro.report.figures.curves import Line, curves, limits, over
from hneuro.report.figures.style import HEIGHT, LOOKS, Look, Picture, Spec, finished, looks, safe, upright
from hneuro.report.folders import Run
from hneuro.report.tidy import Tidy
from hneuro.report.wording import READINGS, condition_name, missing, percent, percent_interval, plain
from hneuro.result_records import ResultRow


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
    for title, found in charts(compared).items():
        name = "" if found[0].neuron_set == "h_neurons" else f"_{safe(found[0].neuron_set)}"
        told = (", ".join(f"{percent(r.value)} at alpha {r.alpha:g}" for r in curve.rows) for curve in found)
        yield Picture(
            name=f"alpha_{safe(found[0].benchmark)}_{found[0].metric}{name}",
            alt=f"{title} over alpha: {'; '.join(told)}.",
            figure=finished(alpha_chart(compared, found, 2 if compared.alone else 1), title),
        )


def alpha_chart(compared: Compared, found: Sequence[Curve], columns: int) -> Spec:
    """The curves of a benchmark; `columns`: of the legend, 0: none."""
    lines = [line for look, curve in zip(looks(), found, strict=False) for line in _lines(compared, curve, look)]
    scale = limits(_shown(compared, found[0].benchmark))
    y = {"title": None, "scale": scale, "axis": {"format": ".0%", "tickCount": 5}}
    drawn = curves(lines, alpha_axis(lines), y, percent_interval, columns)
    return {"height": HEIGHT, "layer": [upright(1.0), drawn]}


def _lines(compared: Compared, curve: Curve, look: Look) -> Iterator[Line]:
    """The set itself, and thin each of its control sets: of one run in the look of its kind, of many in the run's."""
    own = condition_name(curve.neuron_set) if compared.alone else compared.label(curve.run)
    own = f"{own} (n = {max(row.n for row in curve.rows)})"
    yield Line(label=own, look=look, points=over(curve.rows))
    tidy = curve.run.tidy
    for control in tidy.controls("causal", curve.benchmark, curve.neuron_set):
        label, its = (short(control), LOOKS[control.rpartition("/")[2]]) if compared.alone else (own, look)
        for seed in tidy.seeds(curve.metric, curve.benchmark, control):
            points = over(tidy.curve(curve.metric, curve.benchmark, control, seed))
            yield Line(label=label, look=its, points=points, thin=True)


def alpha_axis(lines: Sequence[Line]) -> Spec:
    """With a tick for each alpha."""
    ticks = sorted({alpha for line in lines for alpha, _ in line.points})
    return {"title": "alpha (1 = untouched)", "axis": {"values": ticks, "format": "~g"},
            "scale": {"domain": [ticks[0], ticks[-1]], "nice": False}}  # fmt: skip


def short(control: str) -> str:
    """ "layer-matched"."""
    return condition_name(control).partition(",")[0].removesuffix(" neurons")


def measured(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """Rows whose value is a number."""
    return [row for row in rows if not missing(row.value)]


def _shown(compared: Compared, benchmark: str) -> list[float]:
    """What every picture of a benchmark has room for."""
    return [
        v
        for _, r in compared.rows()
        if r.stage == "causal" and r.dataset == benchmark and r.metric in READINGS and r.alpha is not None
        for v in ((r.low, r.value, r.high) if "/" not in r.condition else (r.value,))
        if v is not None and not missing(v)
    ]
