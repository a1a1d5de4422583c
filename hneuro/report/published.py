"""Published figures against measured ones: the difference, and whether the published value lies in our interval."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from hneuro.records import UserError
from hneuro.report import wording as say
from hneuro.report.compared import Compared
from hneuro.report.folders import Run
from hneuro.report.table import Record, Table, column, estimate
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
    stage: str
    metric: str
    datasets: tuple[str, ...]
    condition: str
    value: float
    low: float | None
    high: float | None
    unit: str
    source: str

    @property
    def shown(self) -> str:
        """ "78.4 %", "about 87.0 %" of a value that is known roughly, "4.5 [2.9, 6.1] points"."""
        about = f"{ABOUT} " if self.source.startswith(ABOUT) else ""
        unit = "" if self.unit == "share" else f" {self.unit}"
        return f"{about}{say.with_interval(self, UNITS[self.unit][1])}{unit}"


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
        value, low, high = (float(row[name]) if row[name] else None for name in ("value", "low", "high"))
        if value is None or not math.isfinite(value) or (low is None) != (high is None):
            raise ValueError("value must be a number, low and high two numbers or none")
        if row["unit"] not in UNITS:
            raise ValueError(f"unit {row['unit']!r} is none of {', '.join(UNITS)}")
    except (ValueError, TypeError) as fault:
        raise UserError(f"{file}, line {line}: {fault}") from fault
    return Published(
        models=tuple(row["model"].split(TOGETHER)), stage=row["stage"], metric=row["metric"],
        datasets=tuple(row["dataset"].split(TOGETHER)), condition=row["condition"], value=value, low=low, high=high,
        unit=row["unit"], source=row["source"],
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A published figure and what was measured, in its unit; `measured` is None where no run has it."""

    published: Published
    runs: str  # the run, or how many a mean is over
    measured: ResultRow | None

    @property
    def difference(self) -> float | None:
        return None if self.measured is None else self.measured.value - self.published.value

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in our interval; None where there is no interval."""
        row = self.measured
        if row is None or row.low is None or row.high is None or say.missing(row.low):
            return None
        return row.low <= self.published.value <= row.high


def pairs(compared: Compared, published: Sequence[Published]) -> tuple[Pair, ...]:
    """Each published figure with every run that measured it; once with none where no run did."""
    return tuple(pair for each in published for pair in _pairs(compared, each))


def _pairs(compared: Compared, wanted: Published) -> Iterator[Pair]:
    places = list(product(wanted.models, wanted.datasets))
    found = [_found(compared, wanted, model, dataset) for model, dataset in places]
    scale = UNITS[wanted.unit][0]
    if len(places) == 1 and found[0]:
        for run, row in found[0]:
            yield Pair(published=wanted, runs=compared.label(run), measured=_scaled(row, scale))
    elif len(places) > 1 and all(len(rows) == 1 for rows in found):
        mean = replace(independent_mean([row for rows in found for _, row in rows]), dataset="mean")
        yield Pair(published=wanted, runs=f"mean of {len(places)}", measured=_scaled(mean, scale))
    else:
        yield Pair(published=wanted, runs=say.MISSING, measured=None)


def _found(compared: Compared, wanted: Published, model: str, dataset: str) -> list[tuple[Run, ResultRow]]:
    """The rows of one model on one data set, a run each."""
    rows = ((run, _row(run, wanted, dataset)) for run in compared.runs if run.setting("model.name") == model)
    return [(run, row) for run, row in rows if row is not None and not say.missing(row.value)]


def _row(run: Run, wanted: Published, dataset: str) -> ResultRow | None:
    if wanted.stage != "selection":
        return run.tidy.one(wanted.stage, wanted.metric, dataset, wanted.condition)
    found = _selection(run.found) if dataset == run.tidy.in_domain else ()
    return next((r for r in found if (r.metric, r.condition) == (wanted.metric, wanted.condition)), None)


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


def _scaled(row: ResultRow, scale: float) -> ResultRow:
    low, high = (None if bound is None else bound * scale for bound in (row.low, row.high))
    return replace(row, value=row.value * scale, low=low, high=high)


def published_table(found: Sequence[Pair]) -> Table:
    """A row a published figure and run."""
    return Table(
        name="published",
        caption="Published figures and ours. Inside: the published value lies in our 95 % interval, which says nothing "
        "of its own uncertainty. About: known roughly, as read off a figure.",
        columns=(
            column("model", "model"), column("stage"), column("metric", "measure", say.plain),
            column("dataset", "data set", say.plain), column("condition", "neurons", say.condition_name),
            *(column(name) for name in ("value", "low", "high", "unit", "source")), column("shown", "published"),
            column("runs", "run"), estimate("measured", "measured", _measured), column("n", "n"),
            column("difference", "difference", lambda value: say.MISSING if value is None else f"{value:+.2f}"),
            column("inside", "inside", lambda inside: say.MISSING if inside is None else "yes" if inside else "no"),
        ),
        records=tuple(_record(pair) for pair in found),
    )  # fmt: skip


def _record(pair: Pair) -> Record:
    wanted, row = pair.published, pair.measured
    return {
        "model": TOGETHER.join(wanted.models), "dataset": TOGETHER.join(wanted.datasets), "runs": pair.runs,
        **{n: getattr(wanted, n) for n in ("stage", "metric", "condition", "value", "low", "high", "unit", "source")},
        "shown": wanted.shown, "measured": row, "n": (row and row.n) or None, "difference": pair.difference,
        "inside": pair.inside,
    }  # fmt: skip


def _measured(row: ResultRow | None) -> str:
    return say.with_interval(row, 2)
