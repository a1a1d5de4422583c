"""Every yaml composes, instantiates, and shows all that can be set."""

from __future__ import annotations

import dataclasses
import importlib
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import composed
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from hneuro.config import MOVED, Config, build, build_experiment, config_folder, saved_experiment
from hneuro.config_faults import explain
from hneuro.experiment import Experiment
from hneuro.questions.file import QuestionFile
from hneuro.questions.splits import PARTS, Splits, grouped, split_by_group
from hneuro.records import UserError
from hneuro.responses.recorded import RecordedSampler
from hneuro.responses.vllm import VllmSampler
from hneuro.spans.rule import RuleLocator
from hneuro.store import Store

# A policy is not part of a run: tests/serve/test_policy.py builds them.
GROUPS = sorted(folder.name for folder in config_folder().iterdir() if folder.is_dir() and folder.name != "policy")
CHOICES = [(group, file.stem) for group in GROUPS for file in sorted((config_folder() / group).glob("*.yaml"))]
NEEDED = {
    "model=hub": ["model.name=m", "model.chat.path=p"],
    "model=gguf": ["model.chat.path=folder/m.gguf"],
    "dataset=file": ["dataset.identification.path=q.jsonl"],
    "dataset=recorded": ["dataset.identification.path=r.jsonl"],
    "questions=file": ["dataset.identification.path=q.jsonl"],
    "questions=recorded": ["dataset.identification.path=r.jsonl"],
    "benchmark=falseqa": ["benchmark.falseqa.path=f.csv", "grader.model=m"],
    "benchmark=jailbreak": ["grader.model=m"],
    "benchmark=paper": ["benchmark.falseqa.path=f.csv", "grader.model=m"],
    "benchmark=sycophancy": ["grader.model=m"],
    "text=file": [f"text.path={__file__}"],
    "sampling=letters": ["judge=letter"],
    "sampling=server": ["sampling.endpoint.model=m"],
    "judge=llm": ["judge.endpoint.model=m"],
    "judge=vote": ["judge.members.llm.endpoint.model=m"],
    "judge=cascade": ["judge.members.llm.endpoint.model=m"],
    "judge=labels": ["judge.path=labels.jsonl"],
    "sampling=recorded": ["sampling.paths=[r.jsonl]"],
    "judge=letter": ["sampling=letters"],
    "span=letter": ["sampling=letters", "judge=letter"],
    "span=llm": ["span.client.endpoint.model=m"],
    "endpoint=local": ["judge.endpoint.model=m"],
    "endpoint=openai": ["judge.endpoint.model=m"],
    "span=recorded": [f"span.path={Path(__file__).parent}/parts/recorded.jsonl"],
    "labeling=mcq_contrastive": ["sampling=letters", "judge=letter", "contribution=last_prompt"],
    "labeling=mcq_non_contrastive": ["sampling=letters", "judge=letter", "contribution=last_prompt"],
    "experiment=figure3a": ["benchmark.falseqa.path=f.csv", "grader.model=m"],
    "experiment=figure3c": ["grader.model=m"],
    "experiment=figure3d": ["grader.model=m"],
    "experiment=mcq": ["model.name=m", "model.chat.path=p", "dataset.identification.path=q.jsonl"],
}


def experiment(*overrides: str) -> Experiment:
    return build_experiment(composed(*overrides))


def choose(group: str, choice: str) -> list[str]:
    """The overrides that choose it. Questions stand in a data set, as those to identify with."""
    inside = {
        "questions": ["dataset=file", f"questions@dataset.identification={choice}"],
        "endpoint": ["judge=llm", f"endpoint@judge.endpoint={choice}"],
    }
    return [*inside.get(group, [f"{group}={choice}"]), *NEEDED.get(f"{group}={choice}", [])]


def parts(node: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield key, node
        for name, value in node.items():
            yield from parts(value, f"{key}.{name}" if key else str(name))


@pytest.mark.parametrize(("group", "choice"), CHOICES, ids=[f"{group}={choice}" for group, choice in CHOICES])
def test_every_choice_says_what_it_is_builds_and_shows_all_that_can_be_set(group: str, choice: str) -> None:
    """Its first line describes it; it composes and instantiates; every field of a part is there to be overridden."""
    lines = (config_folder() / group / f"{choice}.yaml").read_text().splitlines()
    said = lines[1] if lines[0] == "# @package _global_" else lines[0]
    assert said.startswith("# ")
    assert f"experiment={choice}" in said or group != "experiment"
    cfg = composed(*choose(group, choice))
    assert build_experiment(cfg).run_name
    for key, node in parts(OmegaConf.to_container(cfg, resolve=False)):
        module, _, name = node["_target_"].rpartition(".")
        fields = {f.name for f in dataclasses.fields(getattr(importlib.import_module(module), name)) if f.init}
        assert fields == set(node) - {"_target_"}, key


def test_questions_that_come_with_the_package_can_be_split_as_their_config_says() -> None:
    built = experiment("dataset=world")
    questions, _ = grouped(built.identification.load().questions, built.splits.by, "world")
    assert tuple(split_by_group(questions, built.splits, 0)) == PARTS


def test_defaults_in_yaml_are_the_defaults_in_code() -> None:
    """A part that is built without yaml behaves like the one that the config builds."""
    ours = ["dataset=file", *NEEDED["dataset=file"], "model.temperature=1.0"]
    built = experiment(*ours)
    for key in ("splits", "sampling", "judge", "span", "contribution", "labeling", "probe", "choice", "stability"):
        part = getattr(built, key)
        assert part == type(part)(), key
    assert (built.detection, built.origin) == (type(built.detection)(), type(built.origin)())
    lettered = experiment("experiment=mcq", *NEEDED["experiment=mcq"])
    for part in (lettered.sampling, lettered.judge, lettered.span, lettered.labeling):
        assert part == type(part)(), type(part).__name__
    assert lettered.identification == QuestionFile(path="q.jsonl")
    other = experiment(*ours, "model.dtype=auto", "sampling=vllm", "span=rule")
    assert (other.sampling, other.span) == (VllmSampler(), RuleLocator())
    recorded = experiment(*ours, "sampling=recorded", *NEEDED["sampling=recorded"]).sampling
    assert recorded == RecordedSampler(paths=("r.jsonl",))


def test_identity_is_what_decides_the_results() -> None:
    one = experiment()
    how = experiment(
        *("max_span_loss=0.5", "quiet=true", "output_dir=elsewhere", "tracker=wandb", "until=responses"),
    )
    assert (how.identity, how.run_name) == (one.identity, one.run_name)
    assert experiment("seed=1").identity != one.identity


def test_a_name_stays_one_part_of_the_run_s_folder(tmp_path: Path) -> None:
    one = experiment()
    for name in ("../../up", "/abs/olute", "..", ".", ".hidden", "a" * 300, "é" * 300, "half \ud800", "a\\0b"):
        named = replace(one, name=name, dataset=name, model=replace(one.model, name=name))
        folder = tmp_path / named.run_name
        folder.mkdir(parents=True, exist_ok=True)
        assert folder.resolve().parent.parent == tmp_path
        assert not any(part.startswith(".") for part in folder.relative_to(tmp_path).parts)
        (place := Store(tmp_path).place(f"sweep-{name}", {})).mkdir(parents=True)
        assert place.resolve().parent.parent == tmp_path


def test_a_config_that_was_cut_is_said_to_be(tmp_path: Path) -> None:
    whole = yaml.safe_dump(dict(experiment().config), sort_keys=False)
    (tmp_path / "config.yaml").write_text(whole[: whole.index("span:")])
    with pytest.raises(UserError, match=r"lacks span, .*it is not whole"):
        saved_experiment(tmp_path / "config.yaml")


def test_configs_of_older_runs_find_parts_that_have_moved() -> None:
    for module in MOVED.values():
        importlib.import_module(module)
    assert build({"_target_": "hneuro.verdicts.splits.Splits", "by": "entity"}, "splits") == Splits(by="entity")


def test_home_is_expanded_wherever_a_folder_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HNEURO_STORE", "~/store")
    built = experiment("judge=llm", "judge.endpoint.model=m", "output_dir='~/out'")
    assert (built.output_dir, built.store_dir) == (str(Path.home() / "out"), str(Path.home() / "store"))
    assert str(built.judge.endpoint.cache).startswith(built.store_dir)  # type: ignore[attr-defined]


def test_how_a_server_is_asked_decides_no_result() -> None:
    words = ["judge=llm", "judge.endpoint.model=m"]
    one = experiment(*words)
    how = ("base_url=http://host/v1", "concurrency=2", "api_key_env=SOME_KEY", "cache=elsewhere", "timeout=1")
    asked = experiment(*words, *(f"judge.endpoint.{setting}" for setting in how), "store_dir=elsewhere")
    assert asked.identity == one.identity
    for what in ("endpoint.model=other", "endpoint.revision=b", "endpoint.again=1", "answerable.version=2"):
        assert experiment(*words, f"judge.{what}").identity != one.identity


def test_a_value_that_hydra_cannot_read_is_said_as_it_must_be_typed() -> None:
    key = "dataset.identification.path"
    values = (
        "runs/C=1/q.jsonl",
        "q (1).jsonl",
        "q#1.jsonl",
        "[old].jsonl",
        "~/q.jsonl",
        "/t/Łódź/質問.jsonl",
        "it's;q",
    )
    for value in (*values, 'a"b'):
        with pytest.raises(OverrideParseException) as fault:
            OverridesParser.create().parse_overrides([f"{key}={value}"])
        said = explain(fault.value)
        assert "\n" not in said
        (typed,) = shlex.split(said.partition("if it is a text, type ")[2])
        (read,) = OverridesParser.create().parse_overrides([typed])
        assert (read.key_or_group, read.value()) == (key, value)
        if value.startswith("runs"):
            assert said.endswith("type 'dataset.identification.path=\"runs/C=1/q.jsonl\"'")


def test_the_schema_has_every_key_of_the_primary_config() -> None:
    assert {str(key) for key in composed()} == {f.name for f in dataclasses.fields(Config)}
