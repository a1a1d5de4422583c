"""`hneuro rerun RUN_DIR`: a finished run computed anew from its own config, and what differs now."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from hneuro.codec import from_plain
from hneuro.config import build_plain
from hneuro.records import UserError
from hneuro.results import Results
from hneuro.runs import metrics, run_experiment
from hneuro.states import State, read_state

LEFT_OUT = {"command", "folder"}  # where it was started is no difference
ABSENT = "not there"
CALLED = {
    "commit.id": "commit",
    "commit.changed": "files that differ from the commit",
    "commit.tree": "hneuro/ as committed",
    "commit.diff": "hneuro/ beyond the commit",
    "commit.patch.digest": "hneuro/ and conf/ beyond the commit",
}


def rerun(run_dir: Path) -> int:
    """Runs the config of a run with a store of its own, in RUN_DIR/rerun. 0 where the results are the same, else 1."""
    run_dir = run_dir.absolute()
    config, card = _read(run_dir)
    where = run_dir / "rerun"
    if any(read_state(status.parent).state is State.DONE for status in where.glob("*/*/status.json")):
        shutil.rmtree(where)  # an earlier one that was finished; one that was not goes on
    config |= {"output_dir": str(where), "store_dir": str(where / "store"), "until": None}
    config["tracker"] = {"_target_": "hneuro.tracking.LocalTracker"}  # it is a check, and no run of a project
    if card.get("folder") and Path(card["folder"]).is_dir():
        os.chdir(card["folder"])  # what paths in its config are relative to
    experiment = build_plain(config)
    print(run_experiment(experiment, card.get("overrides", ())), flush=True)
    folder = where / experiment.run_name
    _, now = _read(folder)
    print("\nsince then:")
    print("\n".join(list(differences(card, now)) or ["  the same code, packages, machine and data"]))
    before, after = (f / "results.json" for f in (run_dir, folder))
    if before.read_bytes() == after.read_bytes():
        print("results: the same, byte by byte")
        return 0
    first, second = (metrics(from_plain(Results, json.loads(f.read_text(encoding="utf-8")))) for f in (before, after))
    moved = {key: (first.get(key), second.get(key)) for key in {*first, *second} if first.get(key) != second.get(key)}
    print(f"results: not the same; {len(moved)} of {len(first)} headline numbers differ")
    for key, (old, new) in sorted(moved.items()):
        print(f"  {key}: {old} -> {new}")
    return 1


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Lines for all that two run cards do not have in common. What an older one does not keep is only named."""
    for key, new in now.items():
        if key in then and key not in LEFT_OUT:
            yield from _differ(key, then[key], new)
    unknown = [key for key in now if key not in then]
    if unknown:
        yield f"  not known, because the card of the run does not keep it: {', '.join(unknown)}"


def _differ(key: str, old: Any, new: Any) -> Iterator[str]:
    if old == new:
        return
    if all(value is None or isinstance(value, Mapping) for value in (old, new)):
        first, second = old or {}, new or {}
        for inside in dict.fromkeys([*first, *second]):
            yield from _differ(f"{key}.{inside}", first.get(inside, ABSENT), second.get(inside, ABSENT))
        return
    said = f"{_said(old)} -> {_said(new)}"
    if isinstance(old, list) and isinstance(new, list):
        moved = [f"no longer {one}" for one in old if one not in new] + [f"now {one}" for one in new if one not in old]
        said = "; ".join(moved) or said
    yield f"  {CALLED.get(key, key.replace('commit.patch.lines.', 'lines beyond the commit in '))}: {said}"


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_said(inside)}" for name, inside in value.items())
    return "nothing" if value in ("", None) else str(value)


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        card = json.loads((folder / "run_card.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as fault:
        raise UserError(
            f"{folder} is no finished run: its config.yaml and run_card.json are needed ({fault})"
        ) from fault
    if not (folder / "results.json").is_file():
        raise UserError(f"{folder} is no finished run: it has no results.json")
    return config, card
