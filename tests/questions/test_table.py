"""A data set of the hub, and a file or folder like a hub's in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from local_hub import COMMIT, Hub, serving
from pyarrow import parquet

from hneuro.config import build, config_folder
from hneuro.questions.base import QuestionSet, checked
from hneuro.questions.table import Table
from hneuro.records import UserError

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


def folder_of(root: Path, files: Mapping[str, list[Mapping[str, Any]]]) -> str:
    for name, rows in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            pd.DataFrame(rows).to_parquet(root / name)
        else:
            (root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(root)


def texts(table: Table) -> list[str]:
    return [row["q"] for _, row in table.read(("q",))]


def test_config_and_split_choose_the_files_of_a_folder(tmp_path: Path) -> None:
    """As in a snapshot of the hub; the shards of a split are read one after the other."""
    names = ["rc/train-00000-of-00002", "rc/train-00001-of-00002", "rc/test-00000-of-00001", "web/train-00000-of-00001"]
    path = folder_of(tmp_path, {f"{name}.parquet": [{"q": name}] for name in names} | {".cache/train.parquet": []})
    assert texts(Table(path=path, config="rc", split="train")) == names[:2]
    assert texts(Table(path=path, config="rc")) == [names[2], *names[:2]]
    assert texts(Table(path=path, split="test")) == [names[2]]


def test_files_are_named_and_may_be_patterns(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path, {"a.jsonl": [{"q": "a"}], "deep/b1.jsonl": [{"q": "b1"}], "deep/b2.jsonl": [{"q": "b2"}]}
    )
    assert texts(Table(path=path, files=("a.jsonl",), split="train")) == ["a"]
    assert texts(Table(path=path, files=("deep/b*",))) == ["b1", "b2"]


def test_the_fingerprint_is_of_the_rows_in_the_columns_that_were_read(tmp_path: Path) -> None:
    rows = [{"q": "Who?", "other": 1}, {"q": "Where?", "other": 2}]
    folder_of(tmp_path, {"a.jsonl": rows, "b.parquet": rows, "c.jsonl": rows[::-1]})
    (tmp_path / "d.jsonl").write_text('{"q": "Who?", "other": 3}\n{"q": "Where?"}\n')
    origins = [Table(path=str(tmp_path / name)).read(("q",)).origin for name in ("a.jsonl", "b.parquet", "d.jsonl")]
    assert len({origin.fingerprint for origin in origins}) == 1
    assert [origin.rows for origin in origins] == [2, 2, 2]
    assert origins[0].source == str(tmp_path / "a.jsonl")
    assert Table(path=str(tmp_path / "c.jsonl")).read(("q",)).origin.fingerprint != origins[0].fingerprint


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"path": "gone.jsonl"}, "the file gone.jsonl does not exist"),
        ({"path": ".", "split": "dev"}, "has no file for dev; the files there are: a.jsonl, b.csv"),
        ({"path": "."}, "files of several kinds: say which ones, as files=[...]"),
        ({"path": "a.jsonl"}, "a.jsonl, row 2 has no 'q'; it has question"),
        ({"path": "b.csv"}, "cannot read b.csv: it is not UTF-8 text: convert it"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"q": 1}\n{"question": 2}\n')
    (tmp_path / "b.csv").write_bytes("q\nZürich\n".encode("latin-1"))
    with pytest.raises(UserError) as fault:
        Table(**table).read(("q",))
    assert said in str(fault.value)
    assert "\n" not in str(fault.value)


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
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_hub_table_is_read_with_its_commit_and_again_without_a_hub(hub: Hub, tmp_path: Path) -> None:
    """By the real client over real HTTP on 127.0.0.1, in a second process: its settings are read once."""
    one = {"path": "lab/questions", "config": "one", "split": "validation"}
    csv = {"path": "lab/questions", "files": ["007.csv"], "revision": "main"}
    secret = {"path": "lab/secret", "files": ["007.csv"]}
    wide = [
        {"path": "lab/questions", "files": ["wide/train-0.parquet"]},
        {"path": "lab/questions", "config": "wide", "split": "train"},
    ]
    absent = {
        "lab/nothing is neither here nor on the hub (private ones need HF_TOKEN)": {**one, "path": "lab/nothing"},
        "lab/secret is gated: ask for access on its page of the hub, and set HF_TOKEN": {**one, "path": "lab/secret"},
        "lab/secret is gated": secret,
        "lab/questions has no revision 'v9'": {**one, "revision": "v9"},
        "(three, validation) from the hub or its cache: BuilderConfig 'three' not found": {**one, "config": "three"},
        "Unknown split \"dev\". Should be one of ['train', 'validation']": {**one, "split": "dev"},
        "lab/questions is on the hub: say which split to read, or which files": {**one, "split": None},
        "lab/questions has no file gone.csv": {"path": "lab/questions", "files": ["gone.csv"]},
    }
    table, file, *rest = read(
        hub, tmp_path, one, csv, *({"path": "lab/questions", **w} for w in wide), *absent.values()
    )
    source, revision, fingerprint, rows = table
    assert (source, revision) == ("lab/questions (one, validation)", COMMIT)
    assert rows == [{"question": row["question"]} for row in ROWS]
    # A file is read as one of the disk would be: cells of csv stay texts, and NA is not nothing.
    assert file[:2] == ["lab/questions (007.csv)", COMMIT]
    assert file[3] == [{"question": "NA"}]
    # Cells that nobody asks for are not made objects: one of these could not be, and images would fill the memory.
    assert [found[3] for found in rest[:2]] == [[{"question": "Who?"}]] * 2
    for said, wanted in zip(rest[2:], absent, strict=True):
        assert isinstance(said, str)
        assert wanted in said
        assert "\n" not in said

    pinned, other = ({**one, "revision": commit} for commit in (COMMIT, "6" * 40))
    gone = {"path": "lab/questions", "files": ["README.csv"]}
    asked, began = len(hub.asked), time.monotonic()
    offline = read(hub, tmp_path, one, pinned, other, gone, csv, HF_HUB_OFFLINE="1")
    assert offline[0] == offline[1] == [source, revision, fingerprint, rows]
    assert f"lab/questions: the cache has commit {COMMIT}, not {'6' * 40}: allow the hub, or pin" in offline[2]
    assert "lab/questions is not in the cache, and the hub cannot be reached (HF_HUB_OFFLINE is set)" in offline[3]
    assert "a local file or folder can stand in its place" in offline[3]
    assert offline[4] == file
    assert len(hub.asked) == asked  # nothing is asked of the hub, and nothing waits for it
    assert time.monotonic() - began < 60

    # The same rows from a folder in its place: the same fingerprint.
    folder = str(hub.root / "lab" / "questions")
    local = Table(path=folder, config="one", split="validation").read(("question",)).origin
    assert (local.source, local.revision, local.fingerprint, local.rows) == (folder, "", fingerprint, len(ROWS))
    assert read(hub, tmp_path, secret, HF_TOKEN="hf_key")[0][3] == [{"question": "NA"}]


def load(folder: Path, choice: str, rows: list[dict[str, Any]]) -> QuestionSet:
    pd.DataFrame(rows).to_parquet(folder / "rows.parquet")
    node = yaml.safe_load((config_folder() / "questions" / f"{choice}.yaml").read_text())
    file = yaml.safe_load((config_folder() / "questions" / "file.yaml").read_text())
    merged = file | {key: value for key, value in node.items() if key != "defaults"}
    return build(merged | {"path": f"{folder}/rows.parquet"}, choice).load()


def test_nq_open(tmp_path: Path) -> None:
    rows = [
        {"question": "who got the first nobel prize", "answer": ["Röntgen", "Wilhelm Conrad Röntgen"]},
        {"question": "Who got the first Nobel prize?", "answer": ["Röntgen"]},
    ]
    found = load(tmp_path, "nq_open", rows)
    assert found.questions[0].answers == ("Röntgen", "Wilhelm Conrad Röntgen")
    assert found.questions[0].id == found.questions[1].id  # of the text, however it is written
    assert checked(found, "nq_open", None)[1].lost == {"repeated question text": 1}


def test_mmlu(tmp_path: Path) -> None:
    found = load(
        tmp_path, "mmlu", [{"question": "2+2?", "subject": "algebra", "choices": ["3", "4", "5", "1"], "answer": 1}]
    )
    assert (found.questions[0].options, found.questions[0].answers) == (("3", "4", "5", "1"), ("4",))


def test_medqa(tmp_path: Path) -> None:
    options = {"A": "Ampicillin", "B": "Ceftriaxone", "C": "Doxycycline", "D": "Nitrofurantoin"}
    row = {"question": "Best?", "answer": "Nitrofurantoin", "options": options, "answer_idx": "D", "meta_info": "step1"}
    found = load(tmp_path, "medqa", [row])
    assert (found.questions[0].options, found.questions[0].answers) == (tuple(options.values()), ("Nitrofurantoin",))


def test_medmcqa_and_its_hidden_answers(tmp_path: Path) -> None:
    row = {"question": "Which?", "opa": "w", "opb": "x", "opc": "y", "opd": "z", "cop": 2, "choice_type": "single"}
    found = load(tmp_path, "medmcqa", [row, row | {"question": "Hidden?", "cop": -1}])
    assert [q.answers for q in found.questions] == [("y",), ()]
    assert checked(found, "medmcqa", None)[1].lost == {"no gold answer": 1}
