"""The plan of a sweep: its cells, written before the first of them starts, so that what is missing is known.

<sweep>/sweep.json          the plan
<sweep>/cells/<number>/     the state of a cell that has failed before its run had a folder
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from hneuro.codec import from_plain, to_plain
from hneuro.disk import read_text, write_text
from hneuro.records import UserError
from hneuro.states import THEIRS, RunState, State, read_state

PLAN = "sweep.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One combination of a sweep."""

    number: int
    overrides: tuple[str, ...]  # as on a command line, all of them
    varied: tuple[str, ...]  # their values in the columns of the sweep
    run_dir: str = ""  # seen from the sweep's folder
    error: str = ""  # why the combination does not fit together; such a cell is never run


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A sweep: the command that makes it, the keys that it varies, and its cells."""

    command: tuple[str, ...]
    folder: str  # in which the command was given
    columns: tuple[str, ...]
    cells: tuple[Cell, ...]


def write_plan(sweep: Path, plan: Plan) -> None:
    sweep.mkdir(parents=True, exist_ok=True)
    write_text(sweep / PLAN, json.dumps(to_plain(plan), indent=1, ensure_ascii=False))


def read_plan(sweep: Path) -> Plan:
    try:
        return from_plain(Plan, json.loads(read_text(sweep / PLAN)))  # type: ignore[no-any-return]
    except FileNotFoundError as fault:
        raise UserError(f"{sweep} is not a sweep: it has no {PLAN}") from fault
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise UserError(f"{sweep / PLAN} cannot be read ({fault}): give the command of the sweep again") from fault


def cell_folder(sweep: Path, cell: Cell) -> Path:
    return sweep / "cells" / str(cell.number)


def run_folder(sweep: Path, cell: Cell) -> Path:
    return Path(os.path.normpath(sweep / cell.run_dir))


def state_of(sweep: Path, cell: Cell) -> RunState:
    """What has become of a cell: its run's folder says it, and before there is one its own."""
    if cell.error:
        return RunState(state=State.FAILED, reason=cell.error, code=THEIRS)
    own = read_state(cell_folder(sweep, cell))
    return own if own.state is State.FAILED else read_state(run_folder(sweep, cell))
