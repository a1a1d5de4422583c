"""Causal effects over runs: changes and slopes, benchmarks side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hneuro.report import wording as say
from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import Run
from hneuro.report.across.grid import Line, grid
from hneuro.report.tables.headline import control_range
from hneuro.report.tables.table import Table
from hneuro.report.verdicts import every_change
from hneuro.result_records import ResultRow


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What scaling a neuron set by alpha does to one reading of one benchmark in one run."""

    benchmark: str
    metric: str
    neuron_set: str
    rows: tuple[ResultRow, ...]  # ascending in alpha, two at least

    @property
    def title(self) -> str:
        whose = "" if self.neuron_set == "h_neurons" else f", {say.condition_name(self.neuron_set)}"
        return f"{say.plain(self.benchmark)}: {say.READINGS[self.metric]}{whose}"

    @property
    def alphas(self) -> tuple[float, ...]:
        return tuple(row.alpha for row in self.rows if row.alpha is not None)

    @property
    def values(self) -> tuple[float, ...]:
        return tuple(row.value for row in self.rows)


def curves(compared: Compared) -> Iterator[tuple[int, Curve]]:
    """(place of the run, its curve), those of one chart one after the other; neuron sets alone, not their controls."""
    sets = list(dict.fromkeys(name for run in compared.runs for name in run.tidy.neuron_sets))
    for neuron_set in sets:
        for metric in ("compliance", "accuracy", "p_comply"):
            for benchmark in compared.names("causal", metric):
                for place, run in enumerate(compared.runs):
                    found = run.tidy.curve(metric, benchmark, neuron_set, None)
                    rows = tuple(row for row in found if not say.missing(row.value))
                    if len(rows) > 1:
                        yield place, Curve(benchmark=benchmark, metric=metric, neuron_set=neuron_set, rows=rows)


def curves_table(compared: Compared) -> Table:
    """Rates at each alpha."""
    found = list(curves(compared))
    alphas = sorted({alpha for _, curve in found for alpha in curve.alphas})
    lines = [
        Line(
            head=(*compared.cells(compared.runs[place]), say.plain(curve.benchmark), say.READINGS[curve.metric],
                  say.condition_name(curve.neuron_set)),
            cells={f"alpha {row.alpha:g}": say.percent_interval(row, 0) for row in curve.rows},
        )
        for place, curve in found
    ]  # fmt: skip
    return grid(
        "curves",
        "Rates at each alpha, with 95 % intervals.",
        compared, (*compared.heads(), "benchmark", "reading", "neurons"), lines, [f"alpha {a:g}" for a in alphas],
        [(compared.runs[place], row) for place, curve in found for row in curve.rows],
    )  # fmt: skip


def changes_table(compared: Compared) -> Table:
    """From the lowest to the highest alpha, with the interval, n and the range of the controls."""
    lines, numbers = [], []
    for run in compared.runs:
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for change in every_change(run.tidy):
            place = (change.neuron_set, _reading(change.metric))
            shown = f"{say.points_interval(change.found)}, n = {change.found.n}"
            cells.setdefault(place, {})[change.benchmark] = f"{shown} ({control_range(change.controls)})"
            numbers.append((run, change.found))
        lines += _lines(compared, run, cells)
    return grid(
        "changes",
        "Change from the lowest to the highest alpha in percentage points, paired by prompt, with 95 % intervals and "
        "n. In parentheses the range of the control sets.",
        compared, (*compared.heads(), "neurons", "reading"), lines, _benchmarks(compared), numbers,
    )  # fmt: skip


def slopes_table(compared: Compared) -> Table:
    """Percentage points for each unit of alpha, as the paper compares models."""
    lines, numbers = [], []
    for run in compared.runs:
        cells: dict[tuple[str, str], dict[str, str]] = {}
        for neuron_set in run.tidy.neuron_sets:
            for metric in say.READINGS:
                for benchmark in run.tidy.datasets("causal", f"slope_{metric}"):
                    row = run.tidy.one("causal", f"slope_{metric}", benchmark, neuron_set)
                    if row is not None and not say.missing(row.value):
                        cells.setdefault((neuron_set, _reading(metric)), {})[benchmark] = _slope(row)
                        numbers.append((run, row))
        lines += _lines(compared, run, cells)
    return grid(
        "slopes",
        "Slope over alpha in percentage points for each unit of alpha, with 95 % intervals and n.",
        compared, (*compared.heads(), "neurons", "reading"), lines, _benchmarks(compared), numbers,
    )  # fmt: skip


def _slope(row: ResultRow) -> str:
    return f"{say.points_interval(row)}, n = {row.n}"


def _reading(metric: str) -> str:
    """Known facts have right answers where benchmarks have complying ones: one line holds both."""
    return "P(comply)" if metric == "p_comply" else "answers"


def _lines(compared: Compared, run: Run, cells: dict[tuple[str, str], dict[str, str]]) -> list[Line]:
    return [
        Line(head=(*compared.cells(run), say.condition_name(neuron_set), reading), cells=found)
        for (neuron_set, reading), found in cells.items()
    ]


def _benchmarks(compared: Compared) -> list[str]:
    """What complies, and the capability after it."""
    found = [name for metric in ("compliance", "accuracy") for name in compared.names("causal", f"change_{metric}")]
    return list(dict.fromkeys(found))
