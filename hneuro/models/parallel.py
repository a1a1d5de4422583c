"""One run over the processes of torchrun: the first leads, the others only compute along with it.

All processes are started with the same command line. The first one runs the method, reads and writes the store and
talks to people. Before it takes a step with a model whose layers are split over all processes, it tells the others,
who take the same step with their share of the weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from hneuro.records import UserError

P = ParamSpec("P")
R = TypeVar("R")

_leading = False
_models: list[Any] = []  # what `load` has returned, in the same order in every process


def is_team() -> bool:
    """Whether torchrun has started several processes."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_follower() -> bool:
    return is_team() and int(os.environ["RANK"]) > 0


def together(step: Callable[P, R]) -> Callable[P, R]:
    """Marks a function that computes with a whole model, so that all processes of a team must call it."""

    @wraps(step)
    def taken(*args: P.args, **kwargs: P.kwargs) -> R:
        global _leading
        if not _leading:
            return _take(step, *args, **kwargs)
        told = [_named(a) for a in args], {k: _named(v) for k, v in kwargs.items()}
        _tell((step.__module__, step.__qualname__, *told))
        _leading = False  # the steps inside this one are taken by everybody anyway
        try:
            return _take(step, *args, **kwargs)
        finally:
            _leading = True

    return taken


@contextmanager
def leading() -> Iterator[None]:
    """In the first process of a team: the others take the steps of this block, too. Alone: nothing."""
    global _leading
    if not is_team():
        yield
        return
    _channel()
    _leading = True
    try:
        yield
    finally:
        _leading = False
        _models.clear()
        _tell("forget")


def dismiss() -> None:
    """Lets the others go home."""
    if is_team():
        _tell("stop")


def follow() -> None:
    """The whole life of a process that does not lead."""
    while (told := _tell(None)) != "stop":
        if told == "forget":
            _models.clear()
            continue
        module, name, args, kwargs = told
        with suppress(UserError):  # the first process meets the same one, and says it
            step = getattr(import_module(module), name)
            step(*[_found(a) for a in args], **{k: _found(v) for k, v in kwargs.items()})


class _Number(int):
    """A model, as it is called between processes."""


def _named(value: Any) -> Any:
    return next((_Number(n) for n, model in enumerate(_models) if model is value), value)


def _found(value: Any) -> Any:
    return _models[value] if isinstance(value, _Number) else value


def _take(step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    from hneuro.models.load import Loaded

    made = step(*args, **kwargs)
    if is_team() and isinstance(made, Loaded):
        _models.append(made)
    return made


def _tell(message: Any) -> Any:
    """Sends what the first process has to say; the others call it to listen."""
    from torch.distributed import broadcast_object_list

    box = [message]
    broadcast_object_list(box, src=0, group=_channel())
    return box[0]


@cache
def _channel() -> Any:
    """A group for messages. Its followers may wait for days, while the first process fits probes."""
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        cuda = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else None
        if device is not None:
            torch.cuda.set_device(device)
        distributed.init_process_group("nccl" if cuda else "gloo", device_id=device, timeout=timedelta(hours=2))
    return distributed.new_group(backend="gloo", timeout=timedelta(days=365))
