"""Records as JSON and back, by their type annotations. Nothing in the project is ever pickled."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from hneuro.records import ASIDE

AS_IT_IS = frozenset((str, int, bool, type(None)))  # the types whose values are JSON


def to_plain(value: Any) -> Any:
    """A record, or a nest of records, as JSON-ready values. A dataclass becomes a dict of its fields.

    NaN and the infinities, which JSON lacks, become "NaN", "Infinity" and "-Infinity" (as in Protocol Buffers' JSON).
    """
    return _plain(value, tagged=False)


def _plain(value: Any, tagged: bool) -> Any:
    kind = type(value)
    if kind in AS_IT_IS:
        return value
    if kind in (list, tuple) and AS_IT_IS.issuperset(map(type, value)):  # token ids, of which there are many
        return list(value)
    if tagged and hasattr(kind, "store_key"):
        return _plain(value.store_key, tagged)
    if tagged and isinstance(value, np.ndarray):
        return f"{value.dtype.str} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()[:20]}"
    if dataclasses.is_dataclass(kind):
        found: dict[str, Any] = {"@": f"{kind.__module__}.{kind.__qualname__}"} if tagged else {}
        for name in _counting(kind) if tagged else _fields(kind):
            found[name] = _plain(getattr(value, name), tagged)
        return found
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k.value if isinstance(k, Enum) else k): _plain(v, tagged) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v, tagged) for v in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"a {type(value).__name__} has no JSON form")


@cache
def _fields(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in dataclasses.fields(kind))


@cache
def _counting(kind: type[Any]) -> tuple[str, ...]:
    """The fields that say what comes out."""
    return tuple(f.name for f in dataclasses.fields(kind) if not ASIDE.items() <= f.metadata.items())


def from_plain(kind: Any, value: Any) -> Any:
    """The inverse of `to_plain` for a declared type. `ValueError`, in one line, for what does not fit."""
    return _read(_adapter(kind).validate_python, value)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    if dataclasses.is_dataclass(kind):
        kind.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[union-attr]  # of those within as well
    return TypeAdapter(kind)


def _read(validate: Callable[[Any], Any], value: Any) -> Any:
    try:
        return validate(value)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from fault


def canonical(value: Any) -> str:
    """One JSON text for equal values: sorted keys, no blanks. Dataclasses of equal fields but other classes differ.

    What has a `store_key` is known by that alone: a model by its identity, a stored result by its digest. Fields
    with the metadata `ASIDE` say how something is done, not what comes out of it: they do not count.
    """
    return json.dumps(_plain(value, tagged=True), sort_keys=True, separators=(",", ":"), allow_nan=False)


def write_jsonl(path: Path, records: Iterable[Any]) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(to_plain(r), ensure_ascii=False, allow_nan=False) + "\n" for r in records)


def read_jsonl(path: Path, kind: Any) -> tuple[Any, ...]:
    read = _adapter(kind).validate_json
    with path.open(encoding="utf-8") as lines:
        return tuple(_read(read, line) for line in lines)
