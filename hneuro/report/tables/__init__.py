"""The tables of the report: each is a function of the runs, for one run as for many."""

from __future__ import annotations

from collections.abc import Sequence

from hneuro.report.compared import Compared
from hneuro.report.folders import Run
from hneuro.report.table import Table
from hneuro.report.tables.causal import effects, outcomes
from hneuro.report.tables.detection import calibration, comparisons, detection, origin, transfer
from hneuro.report.tables.selection import funnel, judges, neurons, overlaps, path, selected


def all_tables(compared: Compared, runs: Sequence[Run] = ()) -> dict[str, Table]:
    """Those that have anything to say, by name, and the neurons, which trackers send; `runs` with those not done."""
    made = (
        *(() if compared.alone else (selected(compared, runs),)),
        detection(compared), comparisons(compared), transfer(compared), calibration(compared), effects(compared),
        outcomes(compared), neurons(compared), path(compared), overlaps(compared), origin(compared), funnel(compared),
        judges(compared),
    )  # fmt: skip
    return {table.name: table for table in made if table or table.name == "neurons"}
