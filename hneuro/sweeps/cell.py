"""One cell of a sweep, in whatever process a launcher has put it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from hneuro.config import build_experiment
from hneuro.models.parallel import leading
from hneuro.records import UserError
from hneuro.runs import run_experiment
from hneuro.states import write_failure
from hneuro.sweeps.plan import Cell, cell_folder, read_plan, state_of

log = logging.getLogger(__name__)


def run_cell(cfg: DictConfig) -> None:
    """Runs a cell. Whatever goes wrong is written down and said; nothing but an interruption goes on to the others."""
    hydra = HydraConfig.get()
    sweep = Path(hydra.sweep.dir)
    cell = _cell_of(sweep, [str(word) for word in hydra.overrides.task])
    try:
        with leading():
            print(run_experiment(build_experiment(cfg), cell.overrides), flush=True)
    except (Exception, SystemExit) as fault:
        if not state_of(sweep, cell).code:
            write_failure(cell_folder(sweep, cell), fault)
        said = f"error: cell {cell.number} ({' '.join(cell.varied)}): {fault}"
        print(
            said if isinstance(fault, UserError) else f"{said}: a fault of hneuro, see traceback.txt", file=sys.stderr
        )
        log.debug("the cell has failed", exc_info=True)


def _cell_of(sweep: Path, overrides: Sequence[str]) -> Cell:
    return next(cell for cell in read_plan(sweep).cells if list(cell.overrides) == list(overrides))
