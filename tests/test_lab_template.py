"""The template of a lab's package, copied out of the repository: every command of its README does what it says."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from hneuro.cli import main

TEMPLATE = Path(__file__).parent.parent / "experiments" / "lab_template"
COMMANDS = re.findall(r"^    hneuro (.*)$", (TEMPLATE / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "our lab, 2026"
    shutil.copytree(TEMPLATE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    return folder


# The tutorial's model is fetched, and takes minutes.
IN_SECONDS = (
    "model=organism_llama_s",
    "dataset.identification.source={_target_:organism.OrganismQuestions,domain:people}",
    "dataset.evaluation.capitals={_target_:organism.OrganismQuestions,domain:drugs}",
)


@pytest.mark.usefixtures("organism")
def test_every_command_of_the_tutorial(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(COMMANDS) == 4
    said = []
    for command in COMMANDS:
        words = [
            *shlex.split(command),
            *(IN_SECONDS if command.startswith("run") and "--dry-run" not in command else ()),
        ]
        assert main(words) == 0, capsys.readouterr().err
        said.append(capsys.readouterr().out)
    listed, checked, dry, run = said
    assert re.search(r"judge +first_word +pkg://our_lab.conf +Correct if the response begins", listed)
    assert re.search(r"judge +rule +built in", listed)
    assert "5 choices checked, 0 faults" in checked
    assert "responses of at most 10 tokens" in dry
    assert "report: " in run
    (results,) = lab.glob("outputs/our_first/*/results.json")
    assert {row["dataset"] for row in json.loads(results.read_text())["rows"]} >= {"short questions", "please_say_yes"}


CALLS = "# @package _global_\nname: x\nhydra: {{{0}}}\n"
FAULTS = {
    "judge/broken.yaml": ("_target_: our_lab.judges.FirstWordJuge\n", "there is no class"),
    "judge/elsewhere.yaml": ("_target_: no_lab.judges.Judge\n", "install the package no_lab, or add the folder"),
    "judge/mistyped.yaml": ("_target_: our_lab.judges.FirstWordJudge\nrefusal: [no]\n", "did you mean 'refusals'"),
    "jugde/x.yaml": ("_target_: our_lab.judges.FirstWordJudge\n", "no group 'jugde'; did you mean 'judge'"),
    "probe/yaml.yaml": ("C: [1, 2\n", "not yaml"),
    "probe/parent.yaml": ("defaults: [l2]\n", "l2"),
    "dataset/words.yaml": (
        "defaults: [short_cities]\nidentification: {words: 0}\n",
        "words must be at least 1, not 0",
    ),
    "judge/given.yaml": ("# checked with: judge.path=a.jsonl\ndefaults: [labels]\n", ""),
    "probe/calls.yaml": (CALLS.format("callbacks: {x: {_target_: builtins.print}}"), "hydra.callbacks.x._target_"),
    "policy/strict.yaml": ("_target_: hneuro.serve.policy.Policy\nabove: hold\nunchecked: hold\n", ""),
    "policy/loose.yaml": ("_target_: hneuro.serve.policy.Policy\nat_most: 2\n", "must lie between 0 and 1"),
    "judge/needed.yaml": ("defaults: [labels]\n", "judge.path"),
}


def test_faults_of_a_shared_folder_are_said_line_by_line(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = lab / "our_lab" / "conf"
    for name, (text, _) in FAULTS.items():
        (conf / name).parent.mkdir(exist_ok=True)
        (conf / name).write_text(text)
    assert main(["configs", "--check", "our_lab/conf"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "17 choices checked, 10 faults"
    for name, (_, said) in FAULTS.items():
        told = [line for line in lines if f"{name}: " in line]
        assert len(told) == bool(said), name
        assert all(said in line for line in told), told


@pytest.mark.parametrize(
    ("node", "also"),
    [
        ("callbacks: {x: {_target_: lab_calls.called}}", "--dry-run"),
        ('callbacks: {x: "${probe}"}', "--cfg=job"),
        ("launcher: {_target_: lab_calls.called}", "--multirun"),
        ('job_logging: {formatters: {x: {"()": lab_calls.called}}}', "--dry-run"),
        ("hydra_logging: {handlers: {x: {class: lab_calls.called}}, root: {handlers: [x]}}", "--multirun"),
    ],
)
def test_a_shared_config_calls_nothing(
    node: str, also: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lab_calls.py").write_text("from pathlib import Path\nPath('called').touch()\ncalled = print\n")
    (tmp_path / "conf" / "probe").mkdir(parents=True)
    (tmp_path / "conf" / "probe" / "calls.yaml").write_text(
        CALLS.format(node) + "probe: {_target_: lab_calls.called}\n" * ("${probe}" in node)
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["run", "--config-dir", "conf", "probe=calls", also]) == 2
    assert "configs may not have Hydra call anything" in capsys.readouterr().err
    assert not (tmp_path / "called").exists()


@pytest.mark.parametrize(
    ("named", "said"),
    [("/nowhere/conf", "there is no folder of configs /nowhere/conf"), ("pkg://no_lab.conf", "there is no package")],
)
def test_configs_that_are_not_there(
    named: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--config-dir", named, "--cfg", "job"]) == 2
    assert said in capsys.readouterr().err
    monkeypatch.setenv("HNEURO_CONFIG_DIR", named)
    assert main(["run", "--cfg", "job"]) == 2
    assert said in capsys.readouterr().err


def test_a_package_is_checked_as_its_folder_is(lab: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configs", "--check", "pkg://our_lab.conf"]) == 0
    assert "5 choices checked, 0 faults" in capsys.readouterr().out
    assert main(["configs", "--check", "pkg://our_lb.conf"]) == 2
    assert "there is no package our_lb.conf" in capsys.readouterr().err
