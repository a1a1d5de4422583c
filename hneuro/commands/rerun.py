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

LEFT_OUT = {"command", "folder"}


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
    print(run_experiment(experiment), flush=True)
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


def differences(then: Mapping[str, Any], now: Mapping[str, Any], name: str = "") -> Iterator[str]:
    """Lines for all that two run cards do not have in common."""
    for key in dict.fromkeys([*then, *now]):
        old, new, called = then.get(key), now.get(key), f"{name}{key}"
        if not name and key in LEFT_OUT:
            continue  # where it was started is no difference
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, f"{called}.")
        elif old != new:
            yield f"  {called}: {old} -> {new}"


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
