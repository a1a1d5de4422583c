"""Tables of a hub, by its real client over real HTTP on 127.0.0.1, in a second process: its settings are read once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from local_hub import COMMIT, Hub, serving
from pyarrow import parquet

from hneuro.questions.table import Table

READ = """
import json, sys
from hneuro.progress import set_quiet
from hneuro.questions.table import Table
from hneuro.records import UserError
set_quiet(True)
for asked in json.loads(sys.argv[1]):
    try:
        found = Table(**asked | {"files": tuple(asked.get("files", ()))}).read(("question",))
        origin = found.origin
        print(json.dumps([origin.source, origin.revision, origin.fingerprint, [row for _, row in found]]))
    except UserError as fault:
        print(json.dumps(str(fault)))
"""
CARD = """---
configs:
- config_name: one
  data_files:
  - {split: train, path: one/train-*}
  - {split: validation, path: one/validation-*}
- config_name: two
  data_files:
  - {split: train, path: two/train-*}
- config_name: wide
  data_files:
  - {split: train, path: wide/train-*}
---
"""
ROWS = [{"question": f"Number {n}?", "answer": {"value": str(n), "aliases": ["x", "y"]}} for n in range(5)]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    for name in ("lab/questions", "lab/secret"):
        for config, split, count in (("one", "train", 2), ("one", "validation", 5), ("two", "train", 1)):
            (root / name / config).mkdir(parents=True, exist_ok=True)
            pd.DataFrame(ROWS[:count]).to_parquet(root / name / config / f"{split}-00000-of-00001.parquet")
        (root / name / "wide").mkdir()
        columns = {"question": ["Who?"], "when": pa.array([1 << 62], pa.timestamp("us"))}  # a year beyond Python's last
        parquet.write_table(pa.table(columns), root / name / "wide" / "train-0.parquet")
        (root / name / "README.md").write_text(CARD)
        (root / name / "007.csv").write_text("question,id\nNA,007\n")
    with serving(Hub(root=root, gated=("lab/secret",))) as served:
        yield served


def read(hub: Hub, home: Path, *asked: dict[str, Any], **env: str) -> list[Any]:
    """What a second process reads, or says that it cannot."""
    settings = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "-c", READ, json.dumps(asked)],
        env={**os.environ, **settings, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_hub_table_is_read_with_its_commit_and_again_without_a_hub(hub: Hub, tmp_path: Path) -> None:
    one = {"path": "lab/questions", "config": "one", "split": "validation"}
    csv = {"path": "lab/questions", "files": ["007.csv"], "revision": "main"}
    table, file = read(hub, tmp_path, one, csv)
    source, revision, fingerprint, rows = table
    assert (source, revision) == ("lab/questions (one, validation)", COMMIT)
    assert rows == [{"question": row["question"]} for row in ROWS]
    # A file is read as one of the disk would be: cells of csv stay texts, and NA is not nothing.
    assert file[:2] == ["lab/questions (007.csv)", COMMIT]
    assert file[3] == [{"question": "NA"}]

    pinned, other = ({**one, "revision": commit} for commit in (COMMIT, "6" * 40))
    absent = {"path": "lab/questions", "files": ["README.csv"]}
    offline = read(hub, tmp_path, one, pinned, other, absent, csv, HF_HUB_OFFLINE="1")
    assert offline[0] == offline[1] == [source, revision, fingerprint, rows]
    assert (
        offline[2] == f"lab/questions: the cache has commit {COMMIT}, not {'6' * 40}: allow the hub, or pin that commit"
    )
    assert "lab/questions is not in the cache, and the hub cannot be reached (HF_HUB_OFFLINE is set)" in offline[3]
    assert offline[4] == file

    # The same rows from a folder in its place: the same fingerprint.
    folder = str(hub.root / "lab" / "questions")
    local = Table(path=folder, config="one", split="validation").read(("question",)).origin
    assert (local.source, local.revision, local.fingerprint, local.rows) == (folder, "", fingerprint, len(ROWS))


@pytest.mark.parametrize("asked", [{"files": ["wide/train-0.parquet"]}, {"config": "wide", "split": "train"}])
def test_cells_that_nobody_asks_for_are_not_made_objects(hub: Hub, tmp_path: Path, asked: dict[str, Any]) -> None:
    """Of a table with images they would fill the memory; here, one of them could not be made."""
    (found,) = read(hub, tmp_path, {"path": "lab/questions", **asked})
    assert found[3] == [{"question": "Who?"}]


def test_what_a_hub_does_not_have_is_said_in_one_line(hub: Hub, tmp_path: Path) -> None:
    one = {"path": "lab/questions", "config": "one", "split": "validation"}
    cases = {
        "lab/nothing is neither here nor on the hub (private ones need HF_TOKEN)": {**one, "path": "lab/nothing"},
        "lab/secret is gated: ask for access on its page of the hub, and set HF_TOKEN": {**one, "path": "lab/secret"},
        "lab/questions has no revision 'v9'": {**one, "revision": "v9"},
        "(three, validation) from the hub or its cache: BuilderConfig 'three' not found": {**one, "config": "three"},
        "Unknown split \"dev\". Should be one of ['train', 'validation']": {**one, "split": "dev"},
        "lab/questions is on the hub: say which split to read, or which files": {**one, "split": None},
        "lab/questions has no file gone.csv": {"path": "lab/questions", "files": ["gone.csv"]},
    }
    secret = {"path": "lab/secret", "files": ["007.csv"]}
    told = read(hub, tmp_path, *cases.values(), secret)
    for said, wanted in zip(told, [*cases, "lab/secret is gated"], strict=True):
        assert isinstance(said, str)
        assert wanted in said
        assert "\n" not in said
    assert read(hub, tmp_path, secret, HF_TOKEN="hf_key")[0][3] == [{"question": "NA"}]


def test_offline_without_a_cache_is_said_at_once(hub: Hub, tmp_path: Path) -> None:
    """Nothing is asked of the hub, and nothing waits for it."""
    asked = len(hub.asked)
    began = time.monotonic()
    (said,) = read(hub, tmp_path, {"path": "lab/questions", "split": "train"}, HF_HUB_OFFLINE="1")
    assert "lab/questions is not in the cache, and the hub cannot be reached (HF_HUB_OFFLINE is set)" in said
    assert "a local file or folder can stand in its place" in said
    assert len(hub.asked) == asked
    assert time.monotonic() - began < 60
