"""How many cells a launcher is handed at a time. Only submitit's local executor has to be held back."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hneuro.sweeps.plan import Cell

# It starts a process for each cell that it is given, whatever the machine can take.
BOUNDLESS = "hydra_plugins.hydra_submitit_launcher.submitit_launcher.LocalLauncher"


def at_once(launcher: Mapping[str, Any]) -> int | None:
    """Cells that may be handed to the launcher of this config together; None: all, it has a bound of its own."""
    if launcher.get("_target_") != BOUNDLESS:
        return None
    if launcher.get("gpus_per_node"):
        return 1  # all of its processes are shown the same GPUs
    return max(1, cores() // max(1, int(launcher.get("cpus_per_task") or 1)))


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_waves(launch: Callable[[Sequence[Cell]], object], batch: Sequence[Cell], size: int | None) -> None:
    """Launches `size` cells at a time. A wave that breaks down costs the others nothing; what it raised comes last."""
    faults: list[Exception] = []
    for start in range(0, len(batch), size or len(batch) or 1):
        try:
            launch(batch[start : start + size] if size else batch)
        except Exception as fault:  # noqa: BLE001 - whatever a launcher raises; `finish` says it, and tries again
            faults.append(fault)
    if faults:
        raise faults[0]
