"""What was selected in each run: labeling modes side by side, and every strength of every path."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from hneuro.report import wording as say
from hneuro.report.across.compared import Compared
from hneuro.report.across.folders import Run
from hneuro.report.across.grid import value
from hneuro.report.tables.detection import numbers_of
from hneuro.report.tables.selection import POINT
from hneuro.report.tables.table import Cell, Table
from hneuro.result_records import PathPoint, ResultRow, Results


def per_mille(results: Results) -> float | None:
    """H-Neurons in a thousand FFN neurons."""
    return 1000 * len(results.neurons) / results.space.size if results.space else None


def labelings_table(compared: Compared) -> Table:
    """One row a run: how many neurons, from which strength, and what they detect at home and elsewhere."""
    found = [(run, *_outcome(run)) for run in compared.runs]
    columns = (
        "strength", "h_neurons", "per_mille", "select_accuracy", "home", "auroc", "auroc_low", "auroc_high", "n",
        "random", "elsewhere", "elsewhere_random", "sets_elsewhere",
    )  # fmt: skip
    return Table(
        name="labelings",
        caption="Labeling modes and what each selects. Accuracy: on the select split. AUROC at home: on held-out "
        "questions of the set that the neurons were found on, with its 95 % interval; elsewhere: mean over the other "
        "sets. In parentheses the same of random sets.",
        columns=(*compared.columns, *columns),
        numbers=tuple({**compared.facts(run), **numbers} for run, numbers, _ in found),
        heads=(
            *compared.heads(("labeling",)), "strength", "H-Neurons", "per mille", "accuracy", "AUROC at home",
            "n", "AUROC elsewhere",
        ),
        shown=tuple((*compared.cells(run, ("labeling",)), *cells) for run, _, cells in found),
    )  # fmt: skip


def _outcome(run: Run) -> tuple[dict[str, Cell], tuple[str, ...]]:
    """Its numbers, and its cells."""
    results, tidy = run.results, run.tidy
    assert results is not None
    point = next((point for point in results.path if point.chosen), None)
    tested = tidy.datasets("detection", "auroc")
    own = {name: row for name in tested if (row := tidy.one("detection", "auroc", name, "h_neurons")) is not None}
    random = {name: tidy.one("detection", "auroc", name, "h_neurons/random") for name in own}
    home = own.get(tidy.in_domain or "")
    others = [name for name in own if name != tidy.in_domain]
    away, at_random = _mean([own[name] for name in others]), _mean([random[name] for name in others])
    numbers: dict[str, Cell] = {
        "strength": None if point is None else point.strength,
        "h_neurons": len(results.neurons),
        "per_mille": per_mille(results),
        "select_accuracy": None if point is None else point.accuracy,
        "home": tidy.in_domain,
        **numbers_of("auroc", home),
        "n": None if home is None else home.n,
        "random": value(random.get(tidy.in_domain or "")),
        "elsewhere": away,
        "elsewhere_random": at_random,
        "sets_elsewhere": len(others),
    }
    cells = (
        say.MISSING if point is None else f"{point.strength:g}", f"{len(results.neurons):,}",
        say.number(per_mille(results), 2), say.MISSING if point is None else say.percent(point.accuracy),
        _beside(say.with_interval(home, 2), value(random.get(tidy.in_domain or ""))),
        say.MISSING if home is None else str(home.n), _beside(say.number(away, 2), at_random),
    )  # fmt: skip
    return numbers, cells


def _mean(rows: Sequence[ResultRow | None]) -> float | None:
    """None where one of them is missing, or there are none."""
    known = [row.value for row in rows if row is not None]
    return fmean(known) if known and len(known) == len(rows) else None


def _beside(value: str, random: float | None) -> str:
    return value if value == say.MISSING else f"{value} ({say.number(random, 2)})"


def path_table(compared: Compared) -> Table:
    """Every strength (C) of every run; of runs that differ in C alone, one below the other."""
    points = [(run, point) for run in compared.runs for point in (run.results.path if run.results else ())]
    return Table(
        name="path",
        caption="The paths over C (or the count of a ranking). Accuracy and AUROC on the select split; known: accuracy "
        "on known questions while the neurons of this strength are suppressed.",
        columns=(*compared.columns, *POINT),
        numbers=tuple(
            {**compared.facts(run), **{name: getattr(point, name) for name in POINT}} for run, point in points
        ),
        heads=(*compared.heads(), "C", "nonzero", "positive", "accuracy", "AUROC", "n", "known", "chosen"),
        shown=tuple((*compared.cells(run), *_point(point)) for run, point in points),
    )


def _point(point: PathPoint) -> tuple[str, ...]:
    return (
        f"{point.strength:g}", f"{point.nonzero:,}", f"{point.positive:,}",
        say.percent_interval(point.estimate("accuracy")), say.with_interval(point.estimate("auroc")),
        str(point.n or say.MISSING), say.percent(point.suppressed_accuracy), "chosen" if point.chosen else "",
    )  # fmt: skip
