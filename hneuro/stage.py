"""A stage of the method: a plain function, whose result the store keeps under what the function is given.

    @stage(ResultRow, version=1)
    def drift(moved: Kept[NDArray[np.float64]], neurons: HNeurons, seed: int) -> Sequence[ResultRow]: ...

    drift(store, moved, neurons, seed)          # computed once; then read from the disk

The key is made of the function's name, its version and its arguments: a model by its identity, a stored result by its
digest, a part of the config by its class and fields, an array by its bytes; `How` says how that is changed.

Raise `version` when the code changes what comes out. `tests/test_stage.py` notices a changed source without one.
A long stage returns its work in shards (`sharded`, `array`), so that a killed run resumes where it was.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any, Concatenate, Generic, ParamSpec, Required, TypedDict, TypeVar, Unpack

from numpy.typing import NDArray

from hneuro.codec import canonical
from hneuro.store import Kept, Store, fingerprint_of

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
Staged = Callable[Concatenate[Store, P], Kept[T]]  # a stage is called with the store first
Part = Callable[..., Any]  # of the arguments, by name
LONGEST = 2000  # characters of an argument that a manifest shows; of a longer one its fingerprint


@dataclass(frozen=True)
class Shards(Generic[T]):
    """Records in pieces: those of each shard are `work(shard)`."""

    shards: Sequence[Any]
    work: Callable[[Any], Sequence[T]]

    @classmethod
    def of(cls, items: Sequence[S], size: int, work: Callable[[Sequence[S]], Sequence[T]]) -> Shards[T]:
        return cls([items[start : start + size] for start in range(0, len(items), size)], work)


@dataclass(frozen=True)
class Rows:
    """Arrays that are filled some rows at a time. `kinds`: shape and dtype of each by name."""

    kinds: Mapping[str, tuple[tuple[int, ...], str]]
    size: int  # rows of a shard
    work: Callable[[slice], Mapping[str, NDArray[Any]]]

    @classmethod
    def of(
        cls, shape: tuple[int, ...], size: int, work: Callable[[slice], NDArray[Any]], dtype: str = "float32"
    ) -> Rows:
        """One array."""
        return cls({"values": (shape, dtype)}, size, lambda rows: {"values": work(rows)})

    @property
    def slices(self) -> list[slice]:
        count, size = next(iter(self.kinds.values()))[0][0], max(1, self.size)
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]


class How(TypedDict, total=False):
    """What a stage is declared with."""

    version: Required[int]  # higher when the code changes what comes out
    name: str  # of the function by default; may hold arguments in braces
    reads: Mapping[str, Part]  # argument -> what of it is read, made of all arguments
    aside: Collection[str]  # arguments that do not change what comes out


def stage(kind: type[T], **how: Unpack[How]) -> Callable[[Callable[P, Sequence[T]]], Staged[P, tuple[T, ...]]]:
    """A stage that makes records in one piece."""

    def decorate(make: Callable[P, Sequence[T]]) -> Staged[P, tuple[T, ...]]:
        @wraps(make)
        def whole(*args: P.args, **kwargs: P.kwargs) -> Shards[T]:
            return Shards([None], lambda _: make(*args, **kwargs))

        return sharded(kind, **how)(whole)

    return decorate


def sharded(kind: type[T], **how: Unpack[How]) -> Callable[[Callable[P, Shards[T]]], Staged[P, tuple[T, ...]]]:
    """A stage that makes records shard by shard."""

    def decorate(make: Callable[P, Shards[T]]) -> Staged[P, tuple[T, ...]]:
        known = _Key(make, **how)

        @wraps(make)
        def kept(store: Store, *args: P.args, **kwargs: P.kwargs) -> Kept[tuple[T, ...]]:
            plan = make(*args, **kwargs)
            return store.records(*known(*args, **kwargs), kind, plan.shards, plan.work)

        marked: Staged[P, tuple[T, ...]] = _marked(kept, how["version"])
        return marked

    return decorate


def arrays(**how: Unpack[How]) -> Callable[[Callable[P, Rows]], Staged[P, Mapping[str, NDArray[Any]]]]:
    """A stage that fills several arrays of as many rows."""

    def decorate(make: Callable[P, Rows]) -> Staged[P, Mapping[str, NDArray[Any]]]:
        known = _Key(make, **how)

        @wraps(make)
        def kept(store: Store, *args: P.args, **kwargs: P.kwargs) -> Kept[Mapping[str, NDArray[Any]]]:
            plan = make(*args, **kwargs)
            return store.arrays(*known(*args, **kwargs), plan.kinds, plan.slices, plan.work)

        marked: Staged[P, Mapping[str, NDArray[Any]]] = _marked(kept, how["version"])
        return marked

    return decorate


def array(**how: Unpack[How]) -> Callable[[Callable[P, Rows]], Staged[P, NDArray[Any]]]:
    """A stage that fills one array, straight in its file, which is read as a memory map."""

    def decorate(make: Callable[P, Rows]) -> Staged[P, NDArray[Any]]:
        several = arrays(**how)(make)

        @wraps(make)
        def kept(store: Store, *args: P.args, **kwargs: P.kwargs) -> Kept[NDArray[Any]]:
            found = several(store, *args, **kwargs)
            return Kept(lambda: found.value["values"], found.digest)

        marked: Staged[P, NDArray[Any]] = _marked(kept, how["version"])
        return marked

    return decorate


class _Key:
    """What the store learns of a call: the name of the stage, and what it reads."""

    def __init__(
        self,
        make: Callable[..., Any],
        version: int,
        name: str = "",
        reads: Mapping[str, Part] = MappingProxyType({}),
        aside: Collection[str] = (),
    ) -> None:
        self.signature, self.version = inspect.signature(make), version
        self.name = name or make.__name__
        self.reads, self.aside = reads, frozenset(aside)
        assert {*reads, *aside} <= {*self.signature.parameters}, f"{self.name} has no such argument"

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[str, Mapping[str, Any]]:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        read = {
            name: self.reads[name](**given) if name in self.reads else value
            for name, value in given.items()
            if name not in self.aside
        }
        return self.name.format(**given), {"version": self.version} | {n: _brief(value) for n, value in read.items()}


def _marked(kept: Any, version: int) -> Any:
    """A stage is known from other functions by its version."""
    kept.version = version
    return kept


def _brief(value: Any) -> Any:
    text = canonical(value)
    return json.loads(text) if len(text) <= LONGEST else fingerprint_of(text)
