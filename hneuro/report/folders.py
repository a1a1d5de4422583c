"""Run folders as `hneuro run` leaves them: what state each is in, its config and its results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from hneuro.codec import from_plain
from hneuro.disk import read_text
from hneuro.records import UserError
from hneuro.report.tidy import Tidy
from hneuro.result_records import Results
from hneuro.states import check_as_written, read_state

MARKS = ("status.json", "results.json")  # either makes a folder a run
NOT_RUNS = ("store", "wandb")  # next to runs, and large
DONE = "done"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run folder. Only a run that is done has results; of any other, `error` says why, if that is known."""

    folder: Path
    state: str  # "done", "running", "died", "failed", "interrupted", "stopped after responses", "unreadable"
    error: str = ""  # one line
    config: Mapping[str, Any] = field(default_factory=dict)
    results: Results | None = None

    @property
    def found(self) -> Results:
        """The results of a run that is done."""
        assert self.results is not None
        return self.results

    @cached_property
    def tidy(self) -> Tidy:
        return Tidy(self.found)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def version(self) -> str:
        """The hneuro that made it."""
        return self.results.facts.get("hneuro", "") if self.results else ""

    def setting(self, key: str) -> str | float | None:
        """A value of the config by its dotted key; a list becomes text. None where there is no such key."""
        node: Any = self.config
        for part in key.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return None
            node = node[part]
        return ", ".join(map(str, node)) if isinstance(node, list) else None if isinstance(node, Mapping) else node


def is_run(folder: Path) -> bool:
    return any((folder / mark).is_file() for mark in MARKS)


def read_results(file: Path) -> Results:
    """`UserError` in one line where the file is damaged or changed, or was written by an hneuro of other records."""
    check_as_written(file)
    try:
        found = from_plain(Results, json.loads(read_text(file)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise UserError(f"{file} cannot be read ({fault}): run the experiment again") from fault
    assert isinstance(found, Results)
    return found


def read_runs(folders: Sequence[Path]) -> tuple[Run, ...]:
    """Every run in `folders` and below them, each once. `UserError` where there is none, or none that is done."""
    found: dict[Path, Run] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder: name the folder of a run, or one that holds several")
        below = list(_runs_below(folder))
        if not below:
            raise UserError(f"there is no run in {folder}: name one that `hneuro run` has written, or a folder above")
        for place in below:
            found.setdefault(place.resolve(), _read(place))
    runs = tuple(found.values())
    if not any(run.results for run in runs):
        first = runs[0]
        raise UserError(
            f"none of the {len(runs)} runs in {', '.join(map(str, folders))} is done; {first.name}: {first.state}"
            + (f" ({first.error})" if first.error else "")
        )
    return runs


def _runs_below(folder: Path) -> Iterator[Path]:
    for place, inside, files in os.walk(folder):
        inside.sort()
        if set(files) & set(MARKS):
            inside.clear()
            yield Path(place)
        inside[:] = [name for name in inside if name not in NOT_RUNS and not name.startswith(".")]


def _read(folder: Path) -> Run:
    """A run whose files are damaged is unreadable: it is listed as such, and costs the others nothing."""
    try:
        state, error = _state(folder)
        file = folder / "config.yaml"  # a cell that failed before its run began has none
        config = _config(file) if state == DONE or file.exists() else {}
        results = read_results(folder / "results.json") if state == DONE else None
    except UserError as fault:
        return Run(folder=folder, state="unreadable", error=str(fault))
    return Run(folder=folder, state=state, error=error, config=config, results=results)


def _state(folder: Path) -> tuple[str, str]:
    """(state, error). Results without a status were copied from somewhere, and are done."""
    if not (folder / "status.json").is_file():
        return DONE, ""
    found = read_state(folder)
    return (f"stopped after {found.until}" if found.until else found.state.value), " ".join(found.reason.split())


def _config(file: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(read_text(file))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as fault:
        raise UserError(f"{file} cannot be read ({' '.join(str(fault).split())})") from fault
    if not isinstance(config, Mapping):
        raise UserError(f"{file} is not the config of a run")
    return config
