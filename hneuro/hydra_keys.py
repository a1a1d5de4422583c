"""What is allowed below `hydra`, where Hydra builds whatever a `_target_` names, with --dry-run and --cfg, too.

A lab's config is data up to its parts: nothing below `hydra` makes it more. Keys there that nobody reads are refused as
well: `+hydra.foo=1` opens Hydra's own schema as it opens ours, and says nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from hydra._internal import hydra as internal
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, ListConfig, OmegaConf

from hneuro.config_faults import no_such_key
from hneuro.records import UserError

# What Hydra's own yaml has and its schema has not: hydra/env=default.
BESIDE_THE_SCHEMA = {"hydra": {"env"}}
# Hydra makes these of installed plugins alone, whatever their target says.
BUILT = {"hydra.launcher", "hydra.sweeper"}
PLUGINS = ("hydra._internal.core_plugins.", "hydra_plugins.")
LOGGING = {"hydra.job_logging", "hydra.hydra_logging"}
SILENT = {"version", "root", "loggers", "disable_existing_loggers"}  # what builds nothing in a configuration of logging


class CheckedLoader(ConfigLoaderImpl):
    """Hydra's loader: nothing is built of a config before it is checked."""

    def load_configuration(self, *args: Any, **options: Any) -> DictConfig:
        cfg = super().load_configuration(*args, **options)
        check_hydra(cfg.hydra)
        return cfg


def take_the_place_of_the_loader() -> None:
    """Hydra knows no other way to see a config before it builds parts of it."""
    vars(internal)[ConfigLoaderImpl.__name__] = CheckedLoader


def check_hydra(hydra: Any) -> None:
    """`UserError` names what Hydra would call, or the first key that neither it, its launcher nor its sweeper has."""
    for key in _called(hydra, "hydra"):
        raise UserError(f"{key}: configs may not have Hydra call anything, only choose a launcher: leave it out")
    for where, key, known in _unknown(hydra, "hydra"):
        raise UserError(no_such_key(f"{where}.{key}", known))


def _unknown(node: DictConfig, where: str) -> Iterator[tuple[str, str, list[str]]]:
    """Keys beyond the dataclass that a node was made from, which of a launcher is the launcher's. Others are free."""
    kind = OmegaConf.get_type(node)
    typed = kind is not None and dataclasses.is_dataclass(kind)
    known = [field.name for field in dataclasses.fields(kind)] if kind is not None and typed else []
    for name in node:
        key = str(name)
        if typed and key not in known and key not in BESIDE_THE_SCHEMA.get(where, ()):
            yield where, key, known
        inside = node._get_node(key)
        if isinstance(inside, DictConfig) and not inside._is_none() and not inside._is_missing():
            yield from _unknown(inside, f"{where}.{key}")


def _called(node: Any, where: str) -> Iterator[str]:
    """The keys at which Hydra, or the configuration of logging, would build an object."""
    if node is not None and node._is_interpolation():
        node = node._maybe_dereference_node()
    if isinstance(node, ListConfig):
        for place in range(len(node)):
            yield from _called(node._get_node(place), f"{where}.{place}")
    if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
        return
    for name in node:
        key = f"{where}.{name!s}"
        ours = where in BUILT and str(node._get_node(name)).startswith(PLUGINS)
        if (name == "_target_" and not ours) or (where in LOGGING and name not in SILENT):
            yield key
        yield from _called(node._get_node(name), key)
