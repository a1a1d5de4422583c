"""`hneuro report`: of one run its own report again, of several their report side by side."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hneuro.records import UserError
from hneuro.report.compared import Compared
from hneuro.report.figures.alpha import charts
from hneuro.report.folders import Run, is_run, read_runs
from hneuro.report.page import write_summary
from hneuro.report.published import read_published
from hneuro.runs import rewrite_report
from hneuro.sweeps.plan import PLAN, cell_folder, read_plan, run_folder
from hneuro.tracking import Curves, WandbTracker


def report_on(
    folders: Sequence[Path], out: Path | None = None, published: Sequence[Path] = (), wandb: str | None = None
) -> str:
    """Writes what was asked for and returns what to print.

    A folder of runs, or of a sweep, stands for its runs.
    `out`: where a report over several runs goes; by default `report` in the nearest folder above them all. `published`:
    csv files of figures to compare with. `wandb`: the project, or entity/project, that it is logged to as well.
    """
    above = _above(folders)
    folders = [place for folder in folders for place in _runs_of(folder)]
    if len(folders) == 1 and is_run(folders[0]) and out is None and not published and wandb is None:
        return rewrite_report(folders[0])
    figures = list(dict.fromkeys(each for file in published for each in read_published(file)))
    runs = read_runs(folders)
    target = out or above / "report"
    try:
        summary = write_summary(runs, figures, target)
    except OSError as fault:
        raise UserError(f"cannot write the report to {target}: {fault}; choose another folder with --out") from fault
    if wandb is not None:
        entity, _, project = wandb.rpartition("/")
        tracker = WandbTracker(project=project, entity=entity or None, group=_group(runs))
        tracker.publish_summary(target, f"report on {len(runs)} runs", _curves(Compared(runs)))
    return summary.text


def _runs_of(folder: Path) -> Iterator[Path]:
    """The folder; of a sweep's the runs of its cells, and what is left of those that failed before they had one."""
    if not (folder / PLAN).is_file():
        yield folder
        return
    cells = read_plan(folder).cells
    found = [run_folder(folder, cell) for cell in cells if cell.run_dir] + [cell_folder(folder, cell) for cell in cells]
    begun = list(dict.fromkeys(place for place in found if is_run(place)))
    if not begun:
        raise UserError(f"no cell of {folder} has begun: hneuro status {folder} says how to run them")
    yield from begun


def _above(folders: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([(f.parent if is_run(f) else f).resolve() for f in folders]))


def _group(runs: Sequence[Run]) -> str:
    """The W&B group of the runs, which by default is their name; of several, all of them."""
    found = (run.setting("tracker.group") or run.setting("name") for run in runs)
    return ", ".join(sorted({str(group) for group in found if group}))


def _curves(compared: Compared) -> Iterator[Curves]:
    """Each chart's curves of the neuron sets themselves."""
    for title, curves in charts(compared).items():
        lines = {
            compared.label(curve.run): ([r.alpha or 0.0 for r in curve.rows], [r.value for r in curve.rows])
            for curve in curves
        }
        yield Curves(title=title, lines=lines)
