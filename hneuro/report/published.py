"""Published figures against measured ones: the difference, and whether the published value lies in our interval."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

from hneuro.records import UserError
from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.folders import Run
from hneuro.report.table import Column, Record, Table, estimate
from hneuro.report.tables.selection import per_mille
from hneuro.report.tidy import independent_mean
from hneuro.result_records import ResultRow, Results

COLUMNS = ("model", "stage", "metric", "dataset", "condition", "value", "low", "high", "unit", "source")
# unit -> what a measured value is multiplied by, and decimals
UNITS = {"%": (100.0, 1), "points": (100.0, 1), "share": (1.0, 3), "neurons": (1.0, 0), "per mille": (1.0, 2)}
ABOUT = "about"  # begins the source of a value that is known roughly: read off a figure, say
TOGETHER = "+"  # joins models, or data sets, over which a mean was published


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure as it was published. Several models or data sets: the mean over them."""

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    row: ResultRow  # in its unit
    unit: str
    source: str

    @property
    def shown(self) -> str:
        """ "78.4 %", "about 87.0 %" of a value that is known roughly, "4.5 [2.9, 6.1] points"."""
        about = f"{ABOUT} " if self.source.startswith(ABOUT) else ""
        unit = "" if self.unit == "share" else f" {self.unit}"
        return f"{about}{say.with_interval(self.row, UNITS[self.unit][1])}{unit}"


def read_published(file: Path) -> tuple[Published, ...]:
    """A csv file with the columns `COLUMNS`; values as they were printed. `UserError` names the line at fault."""
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            reader = csv.DictReader(lines)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise UserError(f"{file}: the columns of published figures are {','.join(COLUMNS)}")
            return tuple(_published(file, reader.line_num, row) for row in reader)
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise UserError(f"{file} cannot be read ({fault})") from fault


def _published(file: Path, line: int, row: dict[str, str]) -> Published:
    try:
        if None in row.values() or None in row:
            raise ValueError("it has not as many cells as the header")
        value, low, high = (float(row[name]) if row[name] else None for name in ("value", "low", "high"))
        if value is None or not isfinite(value) or (low is None) != (high is None):
            raise ValueError("value must be a number, low and high two numbers or none")
        if row["unit"] not in UNITS:
            raise ValueError(f"unit {row['unit']!r} is none of {', '.join(UNITS)}")
    except (ValueError, TypeError) as fault:
        raise UserError(f"{file}, line {line}: {fault}") from fault
    names: dict[str, Any] = {name: row[name] for name in ("stage", "metric", "dataset", "condition")}
    return Published(
        models=tuple(row["model"].split(TOGETHER)),
        datasets=tuple(row["dataset"].split(TOGETHER)),
        row=ResultRow(**names, value=value, low=low, high=high),
        unit=row["unit"],
        source=row["source"],
    )


def published_table(compared: Compared, published: Sequence[Published]) -> Table:
    """A row for each published figure and run that measured it; where no run did, one with what was published."""
    return Table(
        name="published",
        caption="Published figures and ours. Inside: the published value lies in our 95 % interval, which says nothing "
        "of its own uncertainty. About: known roughly, as read off a figure.",
        columns=(
            Column("model", "model"), Column("stage"), Column("metric", "measure", say.plain),
            Column("dataset", "data set", say.plain), Column("condition", "neurons", say.condition_name),
            *(Column(name) for name in ("value", "low", "high", "unit", "source")), Column("shown", "published"),
            Column("runs", "run"), estimate("measured", "measured", partial(say.with_interval, digits=2)),
            Column("n", "n"), Column("difference", "difference", "{:+.2f}".format),
            Column("inside", "inside", {True: "yes", False: "no"}.__getitem__),
        ),
        records=tuple(record for each in published for record in _records(compared, each)),
    )  # fmt: skip


def _records(compared: Compared, wanted: Published) -> Iterator[Record]:
    """In the published unit."""
    said, scale = wanted.row, UNITS[wanted.unit][0]
    of = {"model": TOGETHER.join(wanted.models), "unit": wanted.unit, "source": wanted.source, "shown": wanted.shown}
    for runs, row in _measured(compared, wanted):
        record = {**asdict(said), **of, "runs": runs, "n": (row and row.n) or None}
        if row is not None:
            low, high = (None if end is None or say.missing(end) else end * scale for end in (row.low, row.high))
            record["measured"] = found = replace(row, value=row.value * scale, low=low, high=high)
            record["difference"] = found.value - said.value
            record["inside"] = None if low is None or high is None else low <= said.value <= high
        yield record


def _measured(compared: Compared, wanted: Published) -> list[tuple[str, ResultRow | None]]:
    """Whose, and the value: of every run of the model, or the mean over all models and data sets."""
    places = list(product(wanted.models, wanted.datasets))
    found = [_found(compared, wanted, model, dataset) for model, dataset in places]
    if len(places) == 1 and found[0]:
        return [(compared.label(run), row) for run, row in found[0]]
    if len(places) > 1 and all(len(rows) == 1 for rows in found):
        return [(f"mean of {len(places)}", independent_mean([row for rows in found for _, row in rows]))]
    return [(say.MISSING, None)]


def _found(compared: Compared, wanted: Published, model: str, dataset: str) -> list[tuple[Run, ResultRow]]:
    """The rows of one model on one data set, a run each."""
    rows = ((run, _row(run, wanted, dataset)) for run in compared.runs if run.setting("model.name") == model)
    return [(run, row) for run, row in rows if row is not None and not say.missing(row.value)]


def _row(run: Run, wanted: Published, dataset: str) -> ResultRow | None:
    said = wanted.row
    if said.stage != "selection":
        return run.tidy.one(said.stage, said.metric, dataset, said.condition)
    found = _selection(run.found) if dataset == run.tidy.in_domain else ()
    return next((r for r in found if (r.metric, r.condition) == (said.metric, said.condition)), None)


def _selection(results: Results) -> Iterator[ResultRow]:
    """What was selected as rows: the share of H-Neurons, and the points of the path, whose condition is "C=0.3"."""
    blank = ResultRow(stage="selection", metric="per_mille", dataset="", condition="h_neurons", value=0.0)
    if (share := per_mille(results)) is not None:
        yield replace(blank, value=share)
    for point in results.path:
        place = replace(blank, condition=f"C={point.strength:g}")
        yield replace(place, metric="nonzero", value=float(point.nonzero))
        yield replace(place, metric="positive", value=float(point.positive))
        for metric in ("accuracy", "auroc"):
            found = point.estimate(metric)
            yield replace(place, metric=metric, value=found.value, low=found.low, high=found.high, n=found.n)
