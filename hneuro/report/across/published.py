"""Published figures beside measured ones: the difference, and whether the published value lies in our interval."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean

from hneuro.records import UserError
from hneuro.report import wording as say
from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import Run
from hneuro.report.across.selection import per_mille
from hneuro.report.tables.table import Record, Table
from hneuro.result_records import ResultRow

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
        decimals = UNITS[self.unit][1]
        between = "" if self.low is None else f" [{self.low:.{decimals}f}, {self.high:.{decimals}f}]"
        unit = "" if self.unit == "share" else f" {self.unit}"
        return f"{about}{self.value:.{decimals}f}{between}{unit}"


def read_published(file: Path) -> tuple[Published, ...]:
    """A csv file with the columns `COLUMNS`; values stand as they were printed. `UserError` names the line at fault."""
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
    runs: str  # the run, or how many stand behind a mean
    measured: ResultRow | None

    @property
    def difference(self) -> float | None:
        return None if self.measured is None else self.measured.value - self.published.value

    @property
    def inside(self) -> bool | None:
        """Whether the published value lies in our interval; None where there is no interval."""
        row = self.measured
        if row is None or row.low is None or row.high is None or say.missing(row.low) or say.missing(row.high):
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
        mean = _mean([row for rows in found for _, row in rows])
        yield Pair(published=wanted, runs=f"mean of {len(places)}", measured=_scaled(mean, scale))
    else:
        yield Pair(published=wanted, runs=say.MISSING, measured=None)


def _found(compared: Compared, wanted: Published, model: str, dataset: str) -> list[tuple[Run, ResultRow]]:
    """The rows of one model on one data set, a run each."""
    rows = ((run, _row(run, wanted, dataset)) for run in compared.runs if run.setting("model.name") == model)
    return [(run, row) for run, row in rows if row is not None and not say.missing(row.value)]


def _mean(rows: Sequence[ResultRow]) -> ResultRow:
    """The mean of rows, whose interval takes them as independent."""
    value = fmean(row.value for row in rows)
    below = [row.value - row.low for row in rows if row.low is not None]
    above = [row.high - row.value for row in rows if row.high is not None]
    known = len(below) == len(above) == len(rows)
    low = value - math.hypot(*below) / len(rows) if known else None
    high = value + math.hypot(*above) / len(rows) if known else None
    return replace(rows[0], value=value, low=low, high=high, n=sum(row.n for row in rows), dataset="mean")


def _row(run: Run, wanted: Published, dataset: str) -> ResultRow | None:
    if wanted.stage == "selection":
        return _selected(run, wanted, dataset)
    return run.tidy.one(wanted.stage, wanted.metric, dataset, wanted.condition)


def _selected(run: Run, wanted: Published, dataset: str) -> ResultRow | None:
    """What the selection says as a row: the share of H-Neurons, or a point of the path, whose condition is "C=0.3"."""
    results = run.results
    assert results is not None
    if dataset != run.tidy.in_domain:
        return None
    blank = ResultRow(stage="selection", metric=wanted.metric, dataset=dataset, condition=wanted.condition, value=0.0)
    if wanted.metric == "per_mille":
        share = per_mille(results)
        return None if share is None else replace(blank, value=share)
    point = next((p for p in results.path if f"C={p.strength:g}" == wanted.condition), None)
    if point is None:
        return None
    if wanted.metric in ("accuracy", "auroc"):
        found = point.estimate(wanted.metric)
        return replace(blank, value=found.value, low=found.low, high=found.high, n=found.n)
    counts = {"nonzero": point.nonzero, "positive": point.positive}
    return replace(blank, value=float(counts[wanted.metric])) if wanted.metric in counts else None


def _scaled(row: ResultRow, scale: float) -> ResultRow:
    low, high = (None if bound is None else bound * scale for bound in (row.low, row.high))
    return replace(row, value=row.value * scale, low=low, high=high)


def published_table(found: Sequence[Pair]) -> Table:
    return Table(
        name="published",
        caption="Published figures and ours. Inside: the published value lies in our 95 % interval, which says nothing "
        "of its own uncertainty. About: known roughly, as read off a figure.",
        columns=(*COLUMNS, "runs", "measured", "measured_low", "measured_high", "n", "difference", "inside"),
        numbers=tuple(_numbers(pair) for pair in found),
        heads=("model", "measure", "data set", "neurons", "published", "run", "measured", "n", "difference", "inside"),
        shown=tuple(_shown(pair) for pair in found),
    )


def _numbers(pair: Pair) -> Record:
    wanted, row = pair.published, pair.measured
    return {
        "model": TOGETHER.join(wanted.models), "dataset": TOGETHER.join(wanted.datasets), "runs": pair.runs,
        **{n: getattr(wanted, n) for n in ("stage", "metric", "condition", "value", "low", "high", "unit", "source")},
        "measured": row and row.value, "measured_low": row and row.low, "measured_high": row and row.high,
        "n": row and row.n, "difference": pair.difference, "inside": pair.inside,
    }  # fmt: skip


def _shown(pair: Pair) -> tuple[str, ...]:
    wanted, row = pair.published, pair.measured
    decimals = UNITS[wanted.unit][1]
    measured = say.MISSING
    if row is not None:
        measured = f"{row.value:.{decimals}f}"
        if row.low is not None and row.high is not None and not say.missing(row.low):
            measured += f" [{row.low:.{decimals}f}, {row.high:.{decimals}f}]"
    apart = say.MISSING if pair.difference is None else f"{round(pair.difference, decimals) + 0.0:+.{decimals}f}"
    inside = say.MISSING if pair.inside is None else "yes" if pair.inside else "no"
    models, datasets = (", ".join(map(say.plain, names)) for names in (wanted.models, wanted.datasets))
    return (
        models, say.plain(wanted.metric), datasets, say.condition_name(wanted.condition), wanted.shown, pair.runs,
        measured, str(row.n) if row is not None and row.n else say.MISSING, apart, inside,
    )  # fmt: skip
