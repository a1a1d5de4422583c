"""`hneuro run --dry-run`."""

from typing import Any


def estimate(plan: Any, experiments: Any) -> int:
    raise NotImplementedError
