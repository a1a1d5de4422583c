"""Progress bars for everything that takes longer than two seconds, and the switch that silences them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

_quiet = False


def set_quiet(quiet: bool) -> None:
    """In quiet mode, for logs, no bar is drawn."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    return _quiet


def track(items: Iterable[T], description: str, total: int | None = None, done: int = 0) -> Iterator[T]:
    """Yields `items` under a bar on stderr. `done` are items of `total` that an earlier run finished."""
    yield from tqdm(
        items,
        desc=description,
        total=total,
        initial=done,
        disable=_quiet,
        file=sys.stderr,
        delay=1.0,
        leave=False,
        mininterval=0.5,
        dynamic_ncols=True,
    )
