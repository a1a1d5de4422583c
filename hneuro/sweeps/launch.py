"""Brings the cells of a sweep to an end, whatever becomes of the processes that run them.

No launcher is believed: Hydra's say that a job is fine that has failed, and some take all cells along when a worker
dies. What counts is what the runs have written, and whether somebody works on them.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hneuro.records import UserError
from hneuro.states import State
from hneuro.sweeps.plan import Cell, cell_folder, run_folder, state_of

log = logging.getLogger(__name__)

TRIES = 3  # of a cell whose process dies: twice among others, then alone, because one may take the others along
PAUSE = 1.0  # seconds between two looks at what others are running


def finish(sweep: Path, wanted: Iterable[Cell], launch: Callable[[Sequence[Cell]], object]) -> None:
    """Launches the wanted cells until each is done, has failed, or has died too often; waits for those of others."""
    waiting = list(wanted)
    tries: Counter[int] = Counter()
    elsewhere: set[int] = set()  # cells that other processes have been seen at: what they end in is the end of the cell
    told, idle = False, 0
    while waiting:
        states = {cell.number: state_of(sweep, cell).state for cell in waiting}
        ended = {number for number in elsewhere if states.get(number) in (State.DONE, State.FAILED)}
        waiting = [cell for cell in waiting if cell.number not in ended]
        elsewhere |= {number for number, state in states.items() if state is State.RUNNING}
        ready = [cell for cell in waiting if states[cell.number] is not State.RUNNING]
        if not ready:
            if waiting and not told:
                log.warning("%d of the cells are run by other processes: waiting for them", len(waiting))
                told = True
            time.sleep(PAUSE if waiting else 0)
            continue
        fewest = min(tries[cell.number] for cell in ready)
        batch = [cell for cell in ready if tries[cell.number] == fewest]
        if fewest == TRIES - 1:
            batch = batch[:1]
        before = {cell.number: _stamps(sweep, cell) for cell in batch}
        broken = _launched(launch, batch)
        touched = [cell for cell in batch if _stamps(sweep, cell) != before[cell.number]]
        idle = idle + 1 if broken and not touched else 0
        if broken and idle == 2:  # once, it may have died on the way to its first cell
            raise UserError(f"no cell could be launched: {type(broken).__name__}: {_first_line(broken)}") from broken
        tries.update(cell.number for cell in batch)
        ended = {
            cell.number
            for cell in batch
            if tries[cell.number] >= TRIES
            or (cell in touched and state_of(sweep, cell).state in (State.DONE, State.FAILED))
        }
        waiting = [cell for cell in waiting if cell.number not in ended]


def _launched(launch: Callable[[Sequence[Cell]], object], batch: Sequence[Cell]) -> Exception | None:
    """What the launcher broke down with; None where it came back by itself."""
    try:
        launch(batch)
    except Exception as fault:  # noqa: BLE001 - whatever a launcher raises: the cells have written what became of them
        log.warning("the launcher has broken down (%s: %s)", type(fault).__name__, _first_line(fault))
        return fault
    return None


def _first_line(fault: BaseException) -> str:
    return next((line.strip() for line in str(fault).splitlines() if line.strip()), "no reason given")


def _stamps(sweep: Path, cell: Cell) -> tuple[int, ...]:
    """Changes whenever the state of a cell is written."""
    files = [folder / "status.json" for folder in (cell_folder(sweep, cell), run_folder(sweep, cell))]
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
