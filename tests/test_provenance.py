"""What a run card keeps."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from commands import composed

from hneuro.config import build_experiment
from hneuro.experiment import Experiment
from hneuro.models.sources import HubCheckpoint
from hneuro.provenance import _commit, code_of, run_card
from hneuro.runs import is_current, run_experiment


@pytest.fixture
def experiment(tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """With a part of somebody else's package, and checkpoints of the training."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "parts"))
    file = tmp_path / "q.jsonl"
    rows = [{"id": str(n), "question": f"What is number {n}?", "answers": ["x"]} for n in range(40)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [
        *("model=hub", "model.name=tiny", f"model.chat.path={tiny_checkpoint}", "model.device=cpu"),
        *("dataset=file", f"dataset.identification.path={file}", "benchmark=none", "quiet=true"),
        *("+benchmark.yes_no={_target_: lab_parts.YesNo}", f"output_dir={tmp_path}/outputs", "until=responses"),
        *("sampling.samples=2", "sampling.decoding.max_new_tokens=3", "seed=7", "splits.by=entity"),
    ]
    return build_experiment(composed(*words))


def test_a_card_says_what_repeats_the_run(experiment: Experiment, tiny_checkpoint: Path) -> None:
    early = HubCheckpoint(path=str(tiny_checkpoint))
    model = replace(experiment.model, base=early, checkpoints={"early": early})
    card = json.loads(json.dumps(run_card(replace(experiment, model=model), ["seed=7", "until=responses"])))
    assert card["overrides"] == ["seed=7", "until=responses"]
    assert card["checkpoints"] == {"early": early.identity()}
    assert card["seeds"]["seed"] == 7
    assert {"torch", "transformers", "accelerate", "safetensors", "datasets", "wandb"} <= set(card["packages"])
    assert None not in card["packages"].values()
    assert card["lab"]["lab_parts"]["distribution"] is None
    assert len(card["lab"]["lab_parts"]["sources"]) == 16
    machine = card["machine"]
    assert machine["cpu"]
    assert machine["memory"].endswith(" GiB")
    assert machine["device"] == "cpu"
    assert {"cores", "threads", "gpus", "cuda"} <= set(machine)


def test_only_the_code_of_hneuro_makes_a_finished_run_outdated(experiment: Experiment) -> None:
    run_experiment(experiment, ["seed=7"])
    (file,) = Path(experiment.output_dir).glob("*/*/run_card-until-responses.json")
    card = json.loads(file.read_text())
    assert card["overrides"] == ["seed=7"]
    assert is_current(experiment)
    other = {name: {} for name in ("packages", "machine", "lab", "seeds", "checkpoints")} | {"overrides": ["x=1"]}
    elsewhere = {
        **card["commit"],
        "id": "0" * 40,
        "changed": [],
        "patch": "1",
    }
    file.write_text(json.dumps(card | other | {"commit": elsewhere}))
    assert is_current(experiment)
    older = {key: value for key, value in card.items() if key not in other}
    file.write_text(json.dumps(older | {"seed": 7}))
    assert is_current(experiment)
    file.write_text(json.dumps(card | {"commit": {**card["commit"], "diff": "another"}}))
    assert not is_current(experiment)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("hneuro/a.py", "conf/config.yaml", "notes.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\ntwo\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    return tmp_path


def state(folder: Path) -> dict[str, object]:
    _commit.cache_clear()
    found = _commit(folder)
    _commit.cache_clear()
    assert found is not None
    return dict(found)


def test_the_diff_of_configs_is_kept_and_is_no_other_code(checkout: Path) -> None:
    clean = state(checkout)
    assert (clean["diff"], clean["patch"]) == ("", "")
    (checkout / "conf" / "config.yaml").write_text("one\nthree\nfour\n")
    (checkout / "notes.md").write_text("other")
    changed = state(checkout)
    assert len(changed["patch"]) == 16
    assert len(changed["changed"]) == 2
    assert code_of({"commit": changed}) == code_of({"commit": clean})


def test_a_new_module_is_other_code_though_git_does_not_know_it(checkout: Path) -> None:
    clean = state(checkout)
    (checkout / "hneuro" / "b.py").write_text("x = 1\n")
    first = state(checkout)
    assert code_of({"commit": first}) != code_of({"commit": clean})
    (checkout / "hneuro" / "b.py").write_text("x = 2\n")
    assert state(checkout)["diff"] != first["diff"]
