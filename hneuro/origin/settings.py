"""What of the origin is measured: the measures of parameter drift, and the neurons they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PARTS = ("up", "down", "gate")
# End of a metric's name -> the parts that are averaged for it. The first is the paper's.
KINDS: Mapping[str, tuple[str, ...]] = {
    "": ("up", "down"),
    "_up": ("up",),
    "_down": ("down",),
    "_gate": ("gate",),
}
# Each is measured for each kind: "drift_rank", "drift_rank_up", ...
MEASURES = ("drift_rank", "drift_z", "drift_distance")


@dataclass(frozen=True, kw_only=True)
class OriginSettings:
    """`base_probe`: also select neurons on the base model itself, which has to answer the fit split for it."""

    base_probe: bool = True
