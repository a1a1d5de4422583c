"""`hneuro status FOLDER...`: what has become of sweeps and runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from hneuro.records import UserError
from hneuro.states import RunState, State, read_state
from hneuro.sweeps.plan import PLAN, read_plan
from hneuro.sweeps.table import described, exit_code, note


def status(folders: Sequence[Path]) -> int:
    """Prints the table of each sweep, or of all sweeps and runs below a folder. 0 where everything is done, else 1."""
    codes = []
    for folder in folders:
        sweeps = sorted(file.parent for file in _below(folder, PLAN))
        for sweep in sweeps:
            plan = read_plan(sweep)
            print(described(sweep, plan), end="\n\n")
            codes.append(exit_code(sweep, plan))
        runs = sorted(file.parent for file in _below(folder, "status.json") if "cells" not in file.parts)
        states = {run: read_state(run) for run in runs}
        if runs:
            print(_table(folder, states), end="\n\n")
            codes.append(int(any(state.state is not State.DONE for state in states.values())))
        if not sweeps and not runs:
            raise UserError(f"{folder} holds neither a sweep nor a run: there is no {PLAN} and no status.json in it")
    return int(any(codes))


def _below(folder: Path, name: str) -> list[Path]:
    """Files of this name in a sweep's or run's folder, or where `hneuro run` puts them below an outputs folder."""
    return [file for depth in ("", "*/", "*/*/") for file in folder.glob(f"{depth}{name}")]


def _table(folder: Path, states: dict[Path, RunState]) -> str:
    rows = []
    for run, state in states.items():
        seconds = "" if state.seconds is None else f"{state.seconds:.0f}"
        rows.append([str(run.relative_to(folder)), state.state.value, seconds, note(state, "")])
    counts = Counter(state.state for state in states.values())
    told = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    table = tabulate(rows, headers=["run", "state", "s", ""], tablefmt="simple", disable_numparse=True)
    return f"{table}\n\n{told}: {folder}"
