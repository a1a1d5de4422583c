"""The command line as a user meets it: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from hneuro.cli import main

Capsys = pytest.CaptureFixture[str]


def hneuro(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hneuro", *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **env}, check=False)


def test_help_answers_within_a_second_and_without_torch(tmp_path: Path) -> None:
    started = time.perf_counter()
    done = hneuro("--help", cwd=tmp_path)
    took = time.perf_counter() - started
    assert done.returncode == 0
    assert "hneuro run" in done.stdout
    assert took < 3, "a second on an idle machine; the test workers share it"
    code = "import sys, hneuro.cli; sys.exit('torch' in sys.modules or 'hydra' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_cfg_job_shows_the_composed_config_and_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab" / "probe").mkdir(parents=True)
    (tmp_path / "lab" / "probe" / "sparse.yaml").write_text("defaults: [l1]\nC: [1.1, 1.2]\n")
    assert main(["run", "--config-dir", "lab", "probe=sparse", "seed=7", "--cfg", "job"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["seed"], shown["probe"]["C"]) == (7, [1.1, 1.2])
    assert shown["probe"]["_target_"] == "hneuro.probe.selectors.L1"
    assert [file.name for file in tmp_path.iterdir()] == ["lab"]


@pytest.mark.parametrize(
    ("word", "model"),
    [
        ("model=meta-llama/Llama-3.1-8B", ("HubCheckpoint", "Llama-3.1-8B", "meta-llama/Llama-3.1-8B")),
        ("model=here", ("HubCheckpoint", "here", "here")),
        ("model=./here/", ("HubCheckpoint", "here", "./here/")),
        ("model=~/über=1", ("HubCheckpoint", "über=1", "HOME/über=1")),
        ("model=files/a.gguf", ("GgufCheckpoint", "a", "files/a.gguf")),
        ("model=mistral_7b", ("HubCheckpoint", "Mistral-7B-v0.3", "mistralai/Mistral-7B-Instruct-v0.3")),
    ],
)
def test_a_model_is_named_as_people_type_it(
    word: str, model: tuple[str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    assert main(["run", word, "--cfg", "job", "--resolve"]) == 0
    found = yaml.safe_load(capsys.readouterr().out)["model"]
    assert found["chat"]["_target_"].rpartition(".")[2] == model[0]
    assert (found["name"], found["chat"]["path"]) == (model[1], model[2].replace("HOME", str(tmp_path)))


def test_a_name_beside_a_model_s_path_is_kept(capsys: Capsys) -> None:
    assert main(["run", "model.name=ours", "model=org/name", "--cfg", "job"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"]["name"] == "ours"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("hneuro run lab", "labeling="),
        ("hneuro run probe.tol", "probe.tolerance="),
    ],
)
def test_tab_completion(line: str, offered: str, tmp_path: Path) -> None:
    done = hneuro("-sc", "query=bash", cwd=tmp_path, COMP_LINE=line, COMP_POINT=str(len(line)), COMP_CWORD="2")
    assert offered in done.stdout.split()


@pytest.mark.parametrize(
    "words",
    [
        ["dataset=file", "dataset.identification.path=no.csv"],
        ["judge=llm", "judge.endpoint.model=m"],
    ],
)
def test_what_is_wrong_is_said_before_the_heavy_libraries_are_imported(words: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['openai'] = None; from hneuro.cli import main; code = main(sys.argv[1:]);"
        "print([name for name in ('torch', 'transformers', 'sklearn') if name in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "run", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "[]\n"), done.stderr
    assert "error: " in done.stderr


def test_an_interrupted_run_says_so_and_leaves_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capsys
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hneuro.experiment.Experiment.check_inputs", interrupted)
    assert main(["run", "model=hub", "model.name=m", "model.chat.path=m"]) == 130
    assert main(["status", "outputs"]) == 1
    assert "interrupted" in capsys.readouterr().out
    assert not list(tmp_path.rglob("traceback.txt"))


def test_a_dry_run_that_would_fail_says_so_by_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text("{")
    words = ["dataset=file", "dataset.identification.path=q.jsonl", "benchmark=none"]
    assert main(["run", "--dry-run", *words]) == 2
    (tmp_path / "q.jsonl").write_text("".join(f'{{"question": "{n}?", "answers": ["{n}"]}}\n' for n in range(40)))
    assert main(["run", "--dry-run", *words]) == 0
