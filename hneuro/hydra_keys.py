"""Keys below `hydra` that nobody reads. `+hydra.foo=1` opens Hydra's own schema as it opens ours, and says nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hneuro.config import no_such_key
from hneuro.records import UserError

# What Hydra's own yaml has and its schema has not: hydra/env=default.
BESIDE_THE_SCHEMA = {"hydra": {"env"}}


def check_hydra(hydra: Any) -> None:
    """`UserError` names the first key that neither Hydra nor the chosen launcher or sweeper has."""
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
