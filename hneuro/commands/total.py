"""What a sweep costs as a whole, where it is known. What cells share is counted once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hneuro.commands.sweep_costs import Asked


@dataclass(frozen=True, kw_only=True)
class Need:
    """A stage result that is not there."""

    stage: str
    place: Path  # where it would be
    shards: int
    done: int  # shards of it that a run before has finished
    bytes: int | None  # it takes on the disk, where that is known
    model: str  # digest of the model that it reads, "" where it reads none
    what: str = ""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run would compute, as far as it can be seen."""

    needs: tuple[Need, ...]
    seconds: Mapping[Path, float | None]  # of each need; None where that is unknown
    sweeps: tuple[Asked, ...]
    weights: float | None  # bytes of its model; None where its files are not here


def total(costs: Sequence[tuple[str, Cost]]) -> str:
    """The sum over cells, each with its identity: cells of the same identity are one run."""
    needs = {need.place: need for _, cost in costs for need in cost.needs}
    times = {place: seconds for _, cost in costs for place, seconds in cost.seconds.items()}
    sweeps = {(identity, one.stage): one.seconds for identity, cost in costs for one in cost.sweeps}
    weights = [cost.weights for _, cost in costs if cost.weights is not None]
    lines = [f"all {len(costs)} cells, what they share counted once:"]
    lines.append(f"  to compute: {_sum(list(times.values()), 'result')}")
    if sweeps:
        lines.append(
            f"  alpha sweeps: {_sum(list(sweeps.values()), 'sweep', 'about ')}, without what reads the answers"
        )
    disk = sum(need.bytes for need in needs.values() if need.bytes is not None)
    if disk:
        lines.append(f"  disk: {disk / 1e6:,.1f} MB, where it is known")
    held = f"{max(weights) / 1e6:,.1f} MB of weights" if weights else "unknown before the files of the models are here"
    lines.append(f"  memory: {held} in each process at a time, batches come on top")
    return "\n".join(lines)


def told_time(seconds: float | None, about: str = "") -> str:
    return "unknown" if seconds is None else f"{about}{seconds:.0f} s"


def _sum(times: Sequence[float | None], what: str, about: str = "") -> str:
    known = [seconds for seconds in times if seconds is not None]
    left = len(times) - len(known)
    what += "" if len(times) == 1 else "s"
    if not known:
        return f"{len(times)} {what}, " + ("time unknown" if times else "0 s")
    return f"{len(times)} {what}, {told_time(sum(known), about)}" + (f" and {left} of unknown time" if left else "")
