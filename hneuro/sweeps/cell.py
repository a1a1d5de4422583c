"""One cell of a sweep, in whatever process a launcher has put it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Thread

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hneuro.config import as_typed, build_experiment
from hneuro.experiment import Experiment
from hneuro.records import UserError
from hneuro.runs import run_experiment
from hneuro.states import write_failure
from hneuro.sweeps.plan import Cell, cell_folder, read_plan, run_folder, state_of

log = logging.getLogger(__name__)

LOOKS = 0.5  # seconds between two looks at whether the launcher lives


def run_cell(cfg: DictConfig) -> None:
    """Runs a cell. Whatever goes wrong is recorded and logged; only an interruption ends the other cells."""
    if multiprocessing.parent_process() is not None:  # a worker of joblib; a job of submitit may outlive its launcher
        _end_with(os.getppid())
    hydra = HydraConfig.get()
    words = as_typed(hydra)
    experiment = None
    try:
        experiment = build_experiment(cfg)
        print(run_experiment(experiment, words), flush=True)
    except (Exception, SystemExit) as fault:
        said = f"error: {_written(Path(hydra.sweep.dir), words, experiment, fault)}: {fault}"
        print(
            said if isinstance(fault, UserError) else f"{said}: a fault of hneuro, see traceback.txt", file=sys.stderr
        )
        log.debug("the cell has failed", exc_info=True)


@cache
def _end_with(launcher: int) -> None:
    """Ends this process when its launcher has died: it would wait for ever, with a model in the memory of a device."""

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(LOOKS)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _written(sweep: Path, words: Sequence[str], experiment: Experiment | None, fault: BaseException) -> str:
    """Sees to it that the failure stands where the sweep looks for it. How the cell is called."""
    try:
        cell = cell_of(sweep, words, experiment)
    except UserError as also:  # the run's own folder has the failure, if it got that far
        log.warning("%s", also)
        cell = None
    if cell is None:
        return f"a cell that the sweep does not know ({' '.join(words)})"
    if not state_of(sweep, cell).code:
        write_failure(cell_folder(sweep, cell), fault)
    return f"cell {cell.number} ({' '.join(cell.varied)})"


def cell_of(sweep: Path, words: Sequence[str], experiment: Experiment | None) -> Cell | None:
    """The cell of the plan with these overrides, or else with the folder of this run.

    The same cells may have been given in other words since this process was started: it lives longer than the command
    that launched it, and the plan in the sweep's folder is that of the last command.
    """
    cells = read_plan(sweep).cells
    if same := next((cell for cell in cells if list(cell.overrides) == list(words)), None):
        return same
    if experiment is None:
        return None
    folder = (Path(experiment.output_dir) / experiment.run_name).absolute()
    return next((cell for cell in cells if cell.run_dir and run_folder(sweep, cell).absolute() == folder), None)
