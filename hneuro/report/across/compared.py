"""Finished runs side by side: what they differ in, and how each is called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hneuro.report.across.folders import Run
from hneuro.report.wording import MISSING
from hneuro.result_records import ResultRow

# What people call the settings that sweeps are made over. Any other that differs stands under its own key.
NAMED = {
    "model": "model.name",
    "found on": "dataset.name",
    "labeling": "labeling.name",
    "selection": "probe.name",
    "choice": "choice.name",
    "run seed": "seed",  # a row has a seed too, that of its control
}
ALWAYS = ("model", "found on", "labeling")  # in the numbers, whether they differ or not
# No result depends on these.
ASIDE = ("output_dir", "store_dir", "quiet", "report", "until", "shard", "tracker", "max_span_loss")

Value = str | float | None


class Compared:
    """The runs that have results, sorted by what they differ in: `axes`, the model first.

    A setting whose value follows from the axes before it is none: the path of a checkpoint says no more than its name.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        done = [run for run in runs if run.results is not None]
        self.axes = _axes(done)
        self.runs = tuple(sorted(done, key=lambda run: [_order(value_of(run, axis)) for axis in self.axes]))

    def cells(self, run: Run, also: Sequence[str] = ()) -> tuple[str, ...]:
        """The run's values of `heads(also)`, as text."""
        return tuple(_text(value_of(run, axis)) for axis in self.heads(also))

    def heads(self, also: Sequence[str] = ()) -> tuple[str, ...]:
        """The axes, with those in `also` that do not differ."""
        return (*self.axes, *(axis for axis in also if axis not in self.axes))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of `facts`, for tables of numbers."""
        return tuple(dict.fromkeys((*self.heads(ALWAYS), "run")))

    def facts(self, run: Run) -> Mapping[str, Value]:
        """The run's axes and its folder, as columns of tables of numbers."""
        return {axis: value_of(run, axis) for axis in self.heads(ALWAYS)} | {"run": run.name}

    def label(self, run: Run) -> str:
        """ "Gemma-3-4B, 1-vs-1"."""
        return ", ".join(
            cell if axis in ALWAYS else f"{axis} {cell}" for axis, cell in zip(self.axes, self.cells(run), strict=True)
        )

    def names(self, stage: str, metric: str) -> list[str]:
        """The data sets that any run has such rows of, in the order in which they come up."""
        return list(dict.fromkeys(name for run in self.runs for name in run.tidy.datasets(stage, metric)))

    def rows(self) -> Iterator[tuple[Run, ResultRow]]:
        for run in self.runs:
            assert run.results is not None
            for row in run.results.rows:
                yield run, row


def value_of(run: Run, axis: str) -> Value:
    """A set that neurons were found on has the name under which it is tested on: a matrix has one name for both."""
    if axis == "run":
        return run.name
    if axis == "found on" and run.results is not None and run.tidy.in_domain:
        return run.tidy.in_domain
    return run.setting(NAMED.get(axis, axis))


def _axes(runs: Sequence[Run]) -> tuple[str, ...]:
    """The model, and every setting that tells runs apart that nothing before it told apart."""
    keys = list(dict.fromkeys(key for run in runs for key in _keys(run.config)))
    found = ["model"]
    groups: dict[Path, tuple[Value, ...]] = {run.folder: (value_of(run, "model"),) for run in runs}
    for axis in (*list(NAMED)[1:], *(key for key in keys if key not in NAMED.values()), "run"):
        finer = {run.folder: (*groups[run.folder], value_of(run, axis)) for run in runs}
        if len(set(finer.values())) > len(set(groups.values())) or (axis in NAMED and _varies(finer.values())):
            found.append(axis)
            groups = finer
    return tuple(found)


def _varies(values: Iterable[tuple[Value, ...]]) -> bool:
    return len({each[-1] for each in values}) > 1


def _keys(node: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Dotted keys of all plain values of a config."""
    for name, value in node.items():
        if above or name not in ASIDE:
            if isinstance(value, Mapping):
                yield from _keys(value, f"{above}{name}.")
            else:
                yield f"{above}{name}"


def _order(value: Value) -> tuple[int, float, str]:
    return (0, value, "") if isinstance(value, int | float) else (1, 0.0, str(value or ""))


def _text(value: Value) -> str:
    if value is None:
        return MISSING
    return f"{value:g}" if isinstance(value, float) else str(value)
