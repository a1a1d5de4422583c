"""The state of a run's folder: what a run writes about itself, and what others can tell from it.

status.json      "running", "done", "failed" or "interrupted"; the error, its traceback, the seconds it took, and the
                 digests of what the run wrote, so that a number that was changed later is noticed
traceback.txt    of a failed run, for people
owner-*.lock     held by a process that works on the run; the operating system frees it when its owner dies
"""

from __future__ import annotations

import json
import logging
import os
import platform
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hneuro.disk import CLOSED, FULL, file_digest, read_text, write_text
from hneuro.records import UserError

log = logging.getLogger(__name__)

DISK = FULL | CLOSED
WRITTEN = ("results.json", "config.yaml", "run_card.json")
OURS, THEIRS = 1, 2  # exit codes: a fault of hneuro, something the user can put right


class State(str, Enum):
    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    INTERRUPTED = "interrupted"  # from the keyboard
    DIED = "died"  # it says that it runs, and nobody works on it
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What is known of a run from its folder alone."""

    state: State
    reason: str = ""  # why it failed or died, or who is running it; one line
    code: int = 0  # the exit code of a failed one
    seconds: float | None = None  # of a finished one
    until: str | None = None  # the stage after which a finished one stopped


@contextmanager
def keeping_state(folder: Path, until: str | None = None) -> Iterator[None]:
    """Keeps status.json true whatever happens, and turns a full disk into a line that says what to do."""
    started = time.time()
    owner = f"{platform.node()}-{os.getpid()}"
    lock = FileLock(folder / f"owner-{owner}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        _forget_the_dead(folder, but=Path(lock.lock_file))
        write_text(folder / "status.json", json.dumps({"state": "running", "owner": owner, "started": started}))
        yield
    except BaseException as fault:
        write_failure(folder, fault)
        if isinstance(fault, OSError) and fault.errno in DISK:
            raise UserError(
                f"cannot write to {folder} or the store ({fault}): "
                + ("the same command resumes later" if fault.errno in FULL else "choose another folder for them")
            ) from fault
        raise
    else:
        (folder / "traceback.txt").unlink(missing_ok=True)
        said: dict[str, Any] = {"state": "done", "seconds": round(time.time() - started, 3)}
        if until:
            said["until"] = until
        else:
            said |= {f.stem: file_digest(f, whole=True) for name in WRITTEN if (f := folder / name).is_file()}
        write_text(folder / "status.json", json.dumps(said))
    finally:
        lock.release()
        with suppress(OSError):  # where the folder could not be made either
            Path(lock.lock_file).unlink()


def write_failure(folder: Path, fault: BaseException) -> None:
    """Writes into a run's folder why it failed. Called while the fault is handled."""
    if isinstance(fault, KeyboardInterrupt):
        with suppress(OSError):
            write_text(folder / "status.json", json.dumps({"state": State.INTERRUPTED.value}))
        return
    told = traceback.format_exc()
    code = THEIRS if isinstance(fault, UserError) or (isinstance(fault, OSError) and fault.errno in DISK) else OURS
    name = "" if isinstance(fault, UserError) else f"{type(fault).__name__}: "
    failure = {"state": "failed", "error": f"{name}{fault}", "code": code, "traceback": told}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "traceback.txt", told)
        write_text(folder / "status.json", json.dumps(failure, indent=1))
    except OSError as also:
        if not isinstance(fault, OSError):  # which says the same
            log.warning("cannot write the state of %s: %s", folder, also)


def check_as_written(file: Path) -> None:
    """`UserError` where a file is not what the run wrote; a copy without its status.json is fine."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        status = json.loads(read_text(file.parent / "status.json"))
        if file.is_file() and status[file.stem] != file_digest(file, whole=True):
            raise UserError(f"{file} is not what the run wrote: run the experiment again, which computes nothing anew")


def read_state(folder: Path) -> RunState:
    """The state of a run. Whether somebody works on it is asked of the operating system, not believed."""
    file = folder / "status.json"
    try:
        said: Mapping[str, Any] = json.loads(read_text(file))
        state, code = State(said["state"]), int(said.get("code", OURS))
        seconds = float(said["seconds"]) if "seconds" in said else None
    except FileNotFoundError:
        return RunState(state=State.MISSING)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as fault:
        return RunState(state=State.DIED, reason=f"status.json cannot be read: {fault}", code=OURS)
    if state is State.RUNNING:
        owners = _living(folder)
        if owners:
            return RunState(state=state, reason=f"by {', '.join(owners)}")
        return RunState(
            state=State.DIED, reason=f"{said.get('owner', 'its process')} has ended without a word", code=OURS
        )
    if state is State.INTERRUPTED:
        return RunState(state=state, reason="the same command resumes it", code=THEIRS)
    if state is State.FAILED:
        return RunState(state=state, reason=str(said.get("error", "")), code=code)
    return RunState(state=state, seconds=seconds, until=said.get("until"))


def _living(folder: Path) -> list[str]:
    """Who works on a run: those whose lock is held."""
    return [file.stem.removeprefix("owner-") for file in sorted(folder.glob("owner-*.lock")) if _held(file)]


def _held(file: Path) -> bool:
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


def _forget_the_dead(folder: Path, but: Path) -> None:
    for file in folder.glob("owner-*.lock"):
        if file != but and not _held(file):
            file.unlink(missing_ok=True)
