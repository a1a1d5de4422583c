"""What a run shows while it works: its steps, and a bar with the time left for every stage that is being computed."""

from __future__ import annotations

import logging
import multiprocessing
import operator
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

T = TypeVar("T")
Counts = Callable[[], tuple[int, int]]  # how many stages were computed so far, and how many came from the store

STEPS = ANSWERS, NEURONS, DETECTION, MECHANISM, CAUSE, BASE_MODEL, REPORT = (
    "answers", "neurons", "detection", "mechanism", "cause", "base model", "report",
)  # fmt: skip

log = logging.getLogger(__name__)

_quiet = False
_steps: Steps | None = None


def set_quiet(quiet: bool) -> None:
    """In quiet mode, for logs, nothing is drawn."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether libraries draw no bars of their own: in quiet mode, and below the steps of a run."""
    return _quiet or (_steps is not None and _steps.drawn)


@contextmanager
def steps(names: Sequence[str], counts: Counts) -> Iterator[None]:
    """Shows all steps of a run: on a terminal until it ends; else, and in quiet mode, a log line when one is over."""
    global _steps
    _steps = Steps(names, counts, drawn=_draws())
    try:
        with _steps.live if _steps.drawn else nullcontext():
            yield
            _steps.end()
    finally:
        _steps = None


def step(name: str) -> None:
    """The run begins with this step: the one before is over."""
    if _steps is not None:
        _steps.end()
        _steps.begin(name)


def track(items: Iterable[T], description: str, total: int | None = None, done: int = 0) -> Iterator[T]:
    """Yields `items` under a bar on stderr. `done` are items of `total` that an earlier run finished."""
    count = operator.length_hint(items) if total is None else total
    with _bars(description) as bars:
        task = bars.add_task(description, total=count, completed=done)
        try:
            for item in items:
                yield item
                bars.advance(task)
        finally:
            bars.remove_task(task)


class Steps:
    """A line for each step of a run, with what came from the store, and below them the bars of what is computed."""

    def __init__(self, names: Sequence[str], counts: Counts, drawn: bool) -> None:
        self.counts, self.drawn = counts, drawn
        self.lines = Progress("{task.fields[mark]} {task.description}", TimeElapsedColumn(), "[dim]{task.fields[said]}")
        self.tasks = {name: self.lines.add_task(name, start=False, total=1, mark=" ", said="") for name in names}
        self.bars = Progress("    {task.description}", *_BAR)
        self.live = Live(Group(self.lines, self.bars), console=_stderr(), refresh_per_second=4, transient=True)
        self.running: tuple[str, TaskID, float, tuple[int, int]] | None = None

    def begin(self, name: str) -> None:
        self.running = name, self.tasks[name], time.monotonic(), self.counts()
        self.lines.start_task(self.tasks[name])
        self.lines.update(self.tasks[name], mark=">")

    def end(self) -> None:
        if self.running is None:
            return
        name, task, started, (computed, loaded) = self.running
        made, found = self.counts()
        said = f"{made - computed} computed, {found - loaded} from the store"
        self.lines.update(task, completed=1, mark="+", said=said)
        if not self.drawn:
            log.info("%s: %s, %.0f s", name, said, time.monotonic() - started)
        self.running = None


@contextmanager
def _bars(description: str) -> Iterator[Progress]:
    """Where a bar goes: below the steps of the run, or on a line of its own that is gone afterwards."""
    if _steps is not None:
        yield _steps.bars
        return
    if not (_draws() or _quiet):
        print(f"{description} ...", file=sys.stderr, flush=True)
    with Progress("{task.description}", *_BAR, console=_stderr(), transient=True, disable=not _draws()) as bars:
        yield bars


def _draws() -> bool:
    """Not in a worker of a sweep: several would draw over each other."""
    return not _quiet and _stderr().is_terminal and multiprocessing.parent_process() is None


def _stderr() -> Console:
    return Console(stderr=True, force_jupyter=False)


_BAR = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
