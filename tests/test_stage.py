"""A stage's key is exactly what it is given, and a changed source without a new version is noticed."""

from __future__ import annotations

import ast
import importlib
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from hashlib import sha256
from inspect import getsource
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import hneuro.pipeline
from hneuro.probe.choice import Sparsest
from hneuro.result_records import Estimate
from hneuro.stage import Rows, Shards, array, sharded, stage
from hneuro.store import Kept, Store

RECORDED = Path(__file__).parent / "stages.json"
PLUMBING = ("hneuro.stage", "hneuro.store", "hneuro.records", "hneuro.result_records", "hneuro.pipeline.run")
STEPS = sorted(file.stem for file in Path(hneuro.pipeline.__path__[0]).glob("[a-z]*.py"))


def estimate(value: float) -> Estimate:
    return Estimate(value=value, low=0.0, high=1.0, n=1)


@stage(Estimate, version=1, name="mean-{name}", reads={"model": lambda model, **_: model["weights"]}, aside=("budget",))
def mean(name: str, model: dict[str, str], rows: Any, budget: int = 8) -> Sequence[Estimate]:
    assert name
    assert model
    assert budget
    return [estimate(float(np.mean(rows.value if isinstance(rows, Kept) else rows)))]


GIVEN: tuple[Any, ...] = ("a", {"weights": "w", "device": "cpu"}, np.arange(4.0))


@pytest.mark.parametrize(
    ("other", "computed"),
    [
        (GIVEN, []),
        (("a", {"weights": "w", "device": "cuda"}, np.arange(4.0)), []),  # not read
        ((*GIVEN, 16), []),  # aside
        (("b", *GIVEN[1:]), ["mean-b"]),
        (("a", {"weights": "v"}, np.arange(4.0)), ["mean-a"]),
        ((*GIVEN[:2], np.arange(4.0)[::-1]), ["mean-a"]),
        ((*GIVEN[:2], np.arange(4.0, dtype=np.float32)), ["mean-a"]),
        ((*GIVEN[:2], Kept(lambda: np.arange(4.0), "digest")), ["mean-a"]),
    ],
)
def test_the_key_is_what_the_stage_reads(tmp_path: Path, other: tuple[Any, ...], computed: list[str]) -> None:
    mean(Store(tmp_path), *GIVEN)
    store = Store(tmp_path)
    mean(store, *other)
    assert store.tally.computed == computed


def test_a_stored_result_is_known_by_its_digest_and_read_when_it_is_needed(tmp_path: Path) -> None:
    def load() -> Any:
        loaded.append(1)
        return np.arange(4.0)

    loaded: list[int] = []
    for _ in range(2):
        assert mean(Store(tmp_path), *GIVEN[:2], Kept(load, "digest")).value == (estimate(1.5),)
    assert loaded == [1]


def test_another_version_or_class_of_a_part_is_another_key(tmp_path: Path) -> None:
    def one(part: object) -> Sequence[Estimate]:
        assert part
        return [estimate(0.0)]

    store = Store(tmp_path)
    for version, part in ((1, Sparsest()), (2, Sparsest()), (2, Sparsest(tolerance=0.1)), (2, "sparsest")):
        stage(Estimate, version=version)(one)(store, part)
    assert store.tally.computed == ["one"] * 4


def test_shards_are_joined_in_order(tmp_path: Path) -> None:
    done: list[Sequence[int]] = []

    @sharded(Estimate, version=1)
    def numbers(items: Sequence[int]) -> Shards[Estimate]:
        def work(shard: Sequence[int]) -> Sequence[Estimate]:
            done.append(shard)
            return [estimate(float(n)) for n in shard]

        return Shards.of(items, 2, work)

    assert [e.value for e in numbers(Store(tmp_path), list(range(5))).value] == [0, 1, 2, 3, 4]
    assert list(map(list, done)) == [[0, 1], [2, 3], [4]]

    @array(version=1)
    def squares(count: int) -> Rows:
        return Rows.of((count,), 2, lambda rows: np.arange(rows.start, rows.stop) ** 2, "float64")

    assert squares(Store(tmp_path), 5).value.tolist() == [0, 1, 4, 9, 16]
    assert squares(Store(tmp_path), 0).value.tolist() == []


# The source of a stage: its function, what this names in its own module, and what it calls of the other modules.


def stages() -> Iterator[tuple[str, Any]]:
    for name in STEPS:
        module = importlib.import_module(f"hneuro.pipeline.{name}")
        for function in vars(module).values():
            if hasattr(function, "version") and getattr(function, "__module__", "") == module.__name__:
                yield f"{name}.{function.__wrapped__.__name__}", function


def plain(code: str) -> str:
    """Without comments, docstrings and line breaks, and without the decorators, where the version stands."""
    tree = ast.parse(textwrap.dedent(code))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.decorator_list = []
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
    return ast.dump(tree)


def sources(function: Any, module: ModuleType, seen: dict[str, str]) -> None:
    """What is named in `function`, into `seen`: in its own module as far as it goes, beyond that one step."""
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    key = f"{function.__module__}.{function.__qualname__}"
    if key in seen or function.__module__ in PLUMBING:
        return
    code = getsource(function)
    seen[key] = plain(code)
    if function.__module__ != module.__name__:
        return
    for node in ast.walk(ast.parse(textwrap.dedent(code))):
        named: list[Any] = []
        if isinstance(node, ast.Name):
            named = [getattr(module, node.id, None)]
        elif isinstance(node, ast.ImportFrom):
            named = [getattr(importlib.import_module(str(node.module)), alias.name) for alias in node.names]
        for one in named:
            if isinstance(one, FunctionType | type) and one.__module__.startswith("hneuro."):
                sources(one, module, seen)


def now() -> dict[str, dict[str, Any]]:
    found = {}
    for name, function in stages():
        seen: dict[str, str] = {}
        sources(function, sys.modules[function.__module__], seen)
        parts = {key: sha256(code.encode()).hexdigest()[:12] for key, code in sorted(seen.items())}
        found[name] = {"version": function.version, "source": parts}
    return found


def test_a_stage_whose_source_has_changed_has_another_version() -> None:
    recorded, found = json.loads(RECORDED.read_text(encoding="utf-8")), now()
    changed = {}
    for name in recorded.keys() & found.keys():
        before, after = recorded[name]["source"], found[name]["source"]
        if before != after and recorded[name]["version"] == found[name]["version"]:
            changed[name] = sorted({k for k in before | after if before.get(k) != after.get(k)})
    assert recorded == found, (
        f"the code of these stages has changed: {changed}. Raise the version of each that now gives another result, "
        f"and leave the others. Then, as for stages that are new or gone: python tests/{Path(__file__).name}"
    )


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(now(), indent=1) + "\n", encoding="utf-8")
