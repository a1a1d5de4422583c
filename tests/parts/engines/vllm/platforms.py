"""The device that the stand-in says it has."""

from types import SimpleNamespace

current_platform = SimpleNamespace(is_cpu=lambda: False)
