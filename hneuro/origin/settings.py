"""What of the origin is measured beside backward transfer and drift."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class OriginSettings:
    """`base_probe`: also select neurons on the base model itself, which has to answer the fit split for it."""

    base_probe: bool = True
