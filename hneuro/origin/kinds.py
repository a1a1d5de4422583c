"""What parameter drift is measured by."""

from __future__ import annotations

from collections.abc import Mapping

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
