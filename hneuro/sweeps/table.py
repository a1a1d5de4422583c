"""A sweep as a table for people: which cells are done, which run, which have failed and why, which are missing."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

from tabulate import tabulate

from hneuro.states import OURS, RunState, State
from hneuro.sweeps.plan import Cell, Plan, run_folder, state_of

LONGEST = 160  # characters of a reason


def described(sweep: Path, plan: Plan) -> str:
    """The grid with the state of every cell, the counts, and the command that finishes it."""
    states = {cell.number: state_of(sweep, cell) for cell in plan.cells}
    heads = ["cell", *plan.columns, "state", "s", ""]
    rows = [_row(sweep, cell, states[cell.number]) for cell in plan.cells]
    counts = Counter(state.state for state in states.values())
    told = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    lines = [tabulate(rows, headers=heads, tablefmt="simple", disable_numparse=True), "", f"{told}: {sweep}"]
    if counts[State.DONE] < len(plan.cells):
        lines.append(f"to go on, in {plan.folder}: {shlex.join(['hneuro', 'run', *plan.command])}")
    return "\n".join(lines)


def exit_code(sweep: Path, plan: Plan) -> int:
    """0 where every cell is done; else the code of the worst: 1 is a fault of ours, or a process that died."""
    states = [state_of(sweep, cell) for cell in plan.cells]
    codes = {state.code or OURS for state in states if state.state is not State.DONE}
    return min(codes, default=0)


def note(state: RunState, where: str) -> str:
    """Where a finished run lies, and why another one has not finished."""
    if state.state is State.DONE:
        return " ".join(word for word in (where, f"until={state.until}" if state.until else "") if word)
    reason = " ".join(state.reason.split())
    return reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 3]}..."


def _row(sweep: Path, cell: Cell, state: RunState) -> list[str]:
    seconds = "" if state.seconds is None else f"{state.seconds:.0f}"
    return [str(cell.number), *cell.varied, state.state.value, seconds, note(state, str(run_folder(sweep, cell)))]
