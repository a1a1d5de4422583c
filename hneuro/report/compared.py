"""Finished runs side by side: what they differ in, and how each is called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hneuro.report import wording as say
from hneuro.report.folders import DONE, Run
from hneuro.report.table import Column, Record, Table
from hneuro.result_records import ResultRow, Results

# What people call the settings that sweeps are made over. Any other that differs has its own key as a name.
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
Of = Callable[[Run], Iterable[Record]]


class Compared:
    """The runs that have results, sorted by what they differ in: `axes`. One run has none.

    A setting whose value follows from the axes before it is none: the path of a checkpoint says no more than its name.
    """

    def __init__(self, runs: Sequence[Run], alone: bool = False) -> None:
        done = [run for run in runs if run.results is not None]
        self.alone = alone  # the report of one run, which nothing needs to tell from others
        self.axes: tuple[str, ...] = () if alone else _axes(done)
        self.runs = tuple(sorted(done, key=lambda run: [_order(value_of(run, axis)) for axis in self.axes]))
        self.columns: tuple[str, ...] = () if alone else tuple(dict.fromkeys((*self.axes, *ALWAYS, "run")))

    @classmethod
    def one(cls, results: Results, folder: Path = Path()) -> Compared:
        """A single run, whose tables have no columns that say whose the rows are."""
        return cls([Run(folder=folder, state=DONE, results=results)], alone=True)

    def facts(self, run: Run) -> Mapping[str, Value]:
        """What tells the run from others, by the names of `columns`."""
        return {axis: value_of(run, axis) for axis in self.columns}

    def label(self, run: Run) -> str:
        """ "Gemma-3-4B, 1-vs-1, run seed 2"; the model where nothing differs."""
        return ", ".join(named(run, axis) for axis in self.axes or self.columns[:1])

    @property
    def shared(self) -> list[str]:
        """What the tables say of every run and is the same of all."""
        return [named(self.runs[0], axis) for axis in ALWAYS if axis in self.columns and axis not in self.axes]

    def names(self, stage: str, metric: str) -> list[str]:
        """The data sets that any run has such rows of, in the order in which they come up."""
        return list(dict.fromkeys(name for run in self.runs for name in run.tidy.datasets(stage, metric)))

    def rows(self) -> Iterator[tuple[Run, ResultRow]]:
        """Every number of every run."""
        for run in self.runs:
            yield from ((run, row) for row in run.found.rows)

    def table(self, name: str, caption: str, columns: Sequence[Column], of: Of, runs: Sequence[Run] = ()) -> Table:
        """The records `of` each run, or of `runs`, under the columns, after those that say whose they are."""
        whose = [Column(axis, axis if axis in self.axes else "") for axis in self.columns]
        made = tuple({**record, **self.facts(run)} for run in runs or self.runs for record in of(run))
        return Table(name=name, caption=caption, columns=(*whose, *columns), records=made)


def value_of(run: Run, axis: str) -> Value:
    """A set that neurons were found on has the name under which it is tested on: a matrix has one name for both."""
    if axis == "run":
        return run.name
    if axis == "found on" and run.results is not None and run.tidy.in_domain:
        return run.tidy.in_domain
    return run.setting(NAMED.get(axis, axis))


def named(run: Run, axis: str) -> str:
    """ "1-vs-1", "run seed 2": settings that are known by their values need no name."""
    value = say.text(value_of(run, axis))
    return value if axis in ALWAYS else f"{axis} {value}"


def _axes(runs: Sequence[Run]) -> tuple[str, ...]:
    """Every setting that distinguishes runs which nothing before it does."""
    keys = list(dict.fromkeys(key for run in runs for key in _keys(run.config)))
    found = list[str]()
    groups: dict[Path, tuple[Value, ...]] = {run.folder: () for run in runs}
    for axis in (*NAMED, *(key for key in keys if key not in NAMED.values()), "run"):
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
