"""Hydra's grid, planned before it starts and finished whatever happens: it stands in for the basic sweeper."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict, read_write

from hneuro.config import build_experiment
from hneuro.config_faults import quoted
from hneuro.disk import safe_name
from hneuro.experiment import Experiment
from hneuro.records import UserError
from hneuro.runs import is_current
from hneuro.states import State
from hneuro.store import fingerprint
from hneuro.sweeps.cell import run_cell
from hneuro.sweeps.launch import finish
from hneuro.sweeps.plan import Cell, Plan, cell_folder, state_of, write_plan
from hneuro.sweeps.table import described, exit_code

Estimate = Callable[[Plan, dict[int, Experiment]], int]


class Task(Protocol):
    """What the command line hands to Hydra, and hears from it."""

    code: int  # the exit code
    words: Sequence[str]  # the command line
    estimate: Estimate | None  # of a dry run, which prints it and runs nothing


class Grid(basic_sweeper.BasicSweeper):
    """Hydra's basic sweeper, which expands the grid. What becomes of its cells is read from their folders."""

    def setup(self, *, hydra_context: Any, task_function: Any, config: DictConfig) -> None:
        self.context: HydraContext = hydra_context
        self.master: DictConfig = config
        self.task: Task = task_function

    def sweep(self, arguments: list[str]) -> None:
        overrides = self._expanded(arguments)
        plan, experiments = self._planned(overrides)
        if not experiments:
            raise UserError(plan.cells[0].error)
        if self.task.estimate is not None:
            self.task.code = self.task.estimate(plan, experiments)
            return
        sweep = self._folder(plan, experiments)
        plan = _placed(plan, experiments, sweep)
        write_plan(sweep, plan)
        self._run(sweep, plan, experiments)
        print(described(sweep, plan), flush=True)
        self.task.code = exit_code(sweep, plan)

    def _expanded(self, arguments: Sequence[str]) -> list[list[str]]:
        """The overrides of every cell."""
        parser = OverridesParser.create(config_loader=self.context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        for override in overrides:
            swept = override.is_sweep_override() and override.is_discrete_sweep()
            if swept and not list(override.sweep_string_iterator()):
                raise UserError(f"{override.input_line}: there is nothing to sweep over, no choice matches")
        (cells,) = self.split_arguments(overrides, None)
        return cells

    def _planned(self, overrides: Sequence[Sequence[str]]) -> tuple[Plan, dict[int, Experiment]]:
        """The cells, and the experiment of each that fits together. A wrong key or choice ends the sweep here."""
        keys = [word.partition("=")[0] for word in overrides[0]]
        places = [place for place in range(len(keys)) if len({words[place] for words in overrides}) > 1]
        cells: list[Cell] = []
        experiments: dict[int, Experiment] = {}
        for number, words in enumerate(overrides):
            error = ""
            cfg = self.context.config_loader.load_sweep_config(self.master, list(words))
            with open_dict(cfg):
                del cfg["hydra"]
            try:
                experiments[number] = build_experiment(cfg)
            except UserError as fault:
                error = str(fault)
            values = tuple(words[place].partition("=")[2] for place in places)
            cells.append(Cell(number=number, overrides=tuple(words), varied=values, error=error))
        columns = tuple(keys[place] for place in places)
        command = tuple(self.task.words)
        return Plan(command=command, folder=str(Path.cwd()), columns=columns, cells=tuple(cells)), experiments

    def _folder(self, plan: Plan, experiments: dict[int, Experiment]) -> Path:
        """The same cells, the same place, whatever launches them."""
        first = next(iter(experiments.values()))
        names = [experiments[c.number].run_name if c.number in experiments else c.overrides for c in plan.cells]
        below = Path(str(self.master.hydra.sweep.dir)).expanduser()
        return below / f"{safe_name(first.name)}--{fingerprint(names)[:8]}"

    def _run(self, sweep: Path, plan: Plan, experiments: dict[int, Experiment]) -> None:
        for cell in plan.cells:
            shutil.rmtree(cell_folder(sweep, cell), ignore_errors=True)
        with read_write(self.master), open_dict(self.master):
            self.master.hydra.sweep.dir = str(sweep)  # for the launcher; a job composes its config anew
            self.master.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(str(sweep))}")
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self.context, task_function=run_cell, config=self.master
        )

        def finished(cell: Cell) -> bool:
            return state_of(sweep, cell).state is State.DONE and is_current(experiments[cell.number])

        wanted = [cell for cell in plan.cells if cell.number in experiments and not finished(cell)]
        print(f"sweep of {len(plan.cells)} cells, {len(wanted)} of them to run: {sweep.resolve()}", flush=True)

        def launch(batch: Sequence[Cell]) -> None:
            for job in launcher.launch([list(cell.overrides) for cell in batch], 0):
                _ = job.return_value  # raises what was raised outside of the cell

        if type(launcher).__name__ == "SlurmLauncher":
            from hneuro.sweeps.slurm import outlasting

            finish(sweep, wanted, outlasting(launch))
        else:
            finish(sweep, wanted, launch)


def take_the_place_of_the_basic_sweeper() -> None:
    """Hydra makes sweepers of its own package, and of plugins that are installed as such, and no others."""
    basic = basic_sweeper.BasicSweeper
    Plugins.instance().class_name_to_class[f"{basic.__module__}.{basic.__name__}"] = Grid


def _placed(plan: Plan, experiments: dict[int, Experiment], sweep: Path) -> Plan:
    """The plan with the folders of its runs, seen from the sweep's: outputs may be moved as a whole."""

    def placed(cell: Cell) -> Cell:
        if cell.number not in experiments:
            return cell
        experiment = experiments[cell.number]
        folder = Path(experiment.output_dir) / experiment.run_name
        return replace(cell, run_dir=os.path.relpath(folder, sweep))

    return replace(plan, cells=tuple(placed(cell) for cell in plan.cells))
