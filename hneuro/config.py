"""The typed schema of the config, and the only place where OmegaConf becomes plain values and parts.

A part (a dataset, judge, sampler, benchmark, ...) is a dataclass that yaml names by `_target_`: its fields are its
schema. Everything is checked before any work begins; what is wrong is said in one line, with the key, the value and
what is allowed.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
import re
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from hydra.errors import HydraException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hneuro.config_faults import explain, no_such_key, quoted
from hneuro.disk import read_text
from hneuro.records import UserError
from hneuro.verdicts.base import word_list

if TYPE_CHECKING:
    from hneuro.experiment import Experiment


@dataclass
class DatasetConfig:
    name: str = MISSING
    identification: Any = MISSING
    evaluation: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None  # questions of each set
    answer_tokens: int = 50  # after which a response is cut (paper: 50)


@dataclass
class Config:
    """The primary config: `conf/config.yaml` fills it. `Any` is a part, checked against its own dataclass."""

    name: str = MISSING
    seed: int = 0
    model: Any = MISSING
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    splits: Any = MISSING
    sampling: Any = MISSING
    judge: Any = MISSING
    span: Any = MISSING
    max_span_loss: float = 0.01
    contribution: Any = MISSING
    labeling: Any = MISSING
    probe: Any = MISSING
    choice: Any = MISSING
    stability: Any = MISSING
    detection: Any = MISSING
    origin: Any = MISSING
    mechanism: Any = MISSING
    benchmark: dict[str, Any] = field(default_factory=dict)
    grader: Any = MISSING
    intervention: Any = MISSING
    text: Any = MISSING
    tracker: Any = MISSING
    output_dir: str = "outputs"
    store_dir: str = MISSING
    stop_early: bool = True
    quiet: bool = False
    report: bool = True
    until: str | None = None
    shard: int | None = None


# The interpolations of conf/, registered wherever this is imported: the workers of a sweep compose their own cells.
OmegaConf.register_new_resolver("stem", lambda path: Path(path).stem, replace=True)  # the name of a GGUF model
# Of verdicts/words.toml; a plain list cannot be resolved by `--resolve`.
OmegaConf.register_new_resolver("words", lambda kind: OmegaConf.create(list(word_list(kind))), replace=True)

# Keys that say where results go, who watches, and what stops a run; not what the results are.
OUTSIDE_IDENTITY = ("tracker", "output_dir", "store_dir", "quiet", "report", "name", "max_span_loss", "until", "shard")


def config_folder() -> Path:
    """`conf/`: inside the installed package, or at the top of a checkout."""
    package = Path(__file__).parent
    inside, beside = package / "conf", package.parent / "conf"
    return inside if inside.is_dir() else beside


def config_source(named: str) -> str:
    """`file://...` or `pkg://...` of a lab's configs, which a user names as a folder or as pkg://package.folder."""
    from importlib.util import find_spec

    if not named.startswith("pkg://"):
        folder = Path(named.removeprefix("file://")).absolute()
        if not folder.is_dir():
            raise UserError(f"there is no folder of configs {named}")
        return f"file://{folder}"
    try:
        found = find_spec(named.removeprefix("pkg://"))
    except (ImportError, ValueError):
        found = None
    if found is None or not found.submodule_search_locations:
        raise UserError(f"there is no package {named.removeprefix('pkg://')}: install it, or add it to PYTHONPATH")
    return named


def folder_of(source: str) -> Path:
    """Where the yaml of `file://...` or `pkg://...` lie."""
    from importlib.util import find_spec

    if source.startswith("file://"):
        return Path(source.removeprefix("file://"))
    spec = find_spec(source.removeprefix("pkg://"))
    assert spec is not None
    return Path(next(iter(spec.submodule_search_locations or ())))


def lab_source() -> str | None:
    """The configs that $HNEURO_CONFIG_DIR names."""
    named = os.environ.get("HNEURO_CONFIG_DIR")
    return config_source(named) if named else None


def register_schema() -> None:
    """Makes the schema known to Hydra, and names a lab's configs to `conf/config.yaml`."""
    from hydra.core.config_store import ConfigStore

    os.environ["HNEURO_CONFIG_SOURCE"] = lab_source() or f"file://{config_folder()}"
    ConfigStore.instance().store(name="base_config", node=Config)


KEY = re.compile(r"\+{0,2}[\w.@/-]+")
BEYOND = re.compile(r"[^\w\s.:/\\+$%*@?|-]|[^\x00-\x7f]")  # signs that a bare value of Hydra's grammar may not have
GRAMMAR = re.compile(r"[\"'(){}\[\],]")  # signs by which a value is more than a bare one


def as_hydra_reads(words: Sequence[str], lab: Sequence[Path]) -> Iterator[str]:
    """`words` with ~ for the home, quotes where they are needed, and model=FOLDER or model=org/name as model=hub.

    `lab`: folders of configs, whose choices come first.
    """
    for word in words:
        key, given, value = word.partition("=")
        if not given or not KEY.fullmatch(key) or GRAMMAR.search(value):
            yield word
            continue
        if value == "~" or value.startswith("~/"):
            value = str(Path(value).expanduser())
        if key == "model" and _is_checkpoint(value, lab):
            kind = "gguf" if value.endswith(".gguf") else "hub"
            yield from (f"model={kind}", f"model.chat.path={quoted(value)}")
            if kind == "hub" and not any(other.startswith("model.name=") for other in words):
                yield f"model.name={quoted(Path(value).resolve().name if Path(value).is_dir() else Path(value).name)}"
        else:
            yield f"{key}={quoted(value) if BEYOND.search(value) else value}"


def as_typed(hydra: Any) -> list[str]:
    """The overrides of a run, whose ${...} stand for values of the run's config, and not of Hydra's."""
    return list(map(str, OmegaConf.to_container(hydra.overrides)["task"]))  # type: ignore[call-overload, index]


def _is_checkpoint(value: str, lab: Sequence[Path]) -> bool:
    """Whether a model is named by a folder, a file or a hub id, and not as a choice."""
    if any((folder / "model" / f"{value}.yaml").is_file() for folder in (config_folder(), *lab)):
        return False
    return "/" in value or Path(value).is_dir() or value.endswith(".gguf")


def model_node(overrides: Sequence[str]) -> dict[str, Any]:
    """The config of a model with these overrides, for callers without a Hydra application."""
    from hydra import compose, initialize_config_dir

    register_schema()
    try:
        with initialize_config_dir(str(config_folder()), version_base="1.3"):
            node = compose("config", overrides=list(overrides)).model
            return dict(OmegaConf.to_container(node, resolve=True))  # type: ignore[arg-type]
    except (HydraException, OmegaConfBaseException) as fault:
        raise UserError(explain(fault)) from fault


def build_experiment(cfg: DictConfig) -> Experiment:
    """The composed config as plain values and parts; `UserError` names what does not fit."""
    try:
        # Once more against the schema, and as plain values: Hydra lets "+key=value" past it.
        checked = OmegaConf.merge(OmegaConf.structured(Config), OmegaConf.to_container(cfg))
        _check_complete(OmegaConf.to_container(checked))
        for key in ("output_dir", "store_dir"):  # what else is kept below them follows
            if (folder := str(OmegaConf.select(checked, key))).startswith("~"):
                OmegaConf.update(checked, key, str(Path(folder).expanduser()))
        plain = OmegaConf.to_container(checked, resolve=True)
    except OmegaConfBaseException as fault:
        raise UserError(explain(fault)) from fault
    _check_complete(plain)
    assert isinstance(plain, dict)
    return build_plain({str(key): value for key, value in plain.items() if key != "grader"})


def build_plain(values: dict[str, Any]) -> Experiment:
    """The experiment of a config without anything left to resolve, as the config.yaml of a run has it."""
    from hneuro.experiment import Experiment
    from hneuro.store import fingerprint

    if cut := [f.name for f in dataclasses.fields(Config) if f.name not in values and f.name != "grader"]:
        raise UserError(f"the config lacks {', '.join(cut)}: it is not whole, or of another version; run it anew")
    values = dict(values)
    config = dict(values)
    dataset = values.pop("dataset")
    fields = {
        **{
            key: build(value, key) if key not in PLAIN else value for key, value in values.items() if key != "benchmark"
        },
        "dataset": dataset["name"],
        "limit": dataset["limit"],
        "answer_tokens": dataset["answer_tokens"],
        "identification": build(dataset["identification"], "dataset.identification"),
        "evaluation": {n: build(part, f"dataset.evaluation.{n}") for n, part in dataset["evaluation"].items() if part},
        "benchmarks": {name: build(part, f"benchmark.{name}") for name, part in values["benchmark"].items()},
    }
    identity = fingerprint({key: value for key, value in fields.items() if key not in OUTSIDE_IDENTITY})
    return Experiment(**fields, identity=identity, config=config)


def _check_complete(values: Any) -> None:
    """`UserError` for a key that still waits for a value; the grader's wait until a benchmark uses it."""
    if missing := list(_missing({key: value for key, value in values.items() if key != "grader"}, "")):
        raise UserError(_needed(missing))


def _missing(node: Any, key: str) -> Iterator[str]:
    """The keys that still wait for a value."""
    if node == "???":
        yield key
    elif isinstance(node, dict | list):
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _missing(value, f"{key}.{name}" if key else str(name))


def _needed(keys: Sequence[str]) -> str:
    key = keys[0]
    if ".grader.endpoint." in f"{key}.":
        name, part = key.rpartition(".")[2], key.partition(".grader")[0]
        return f"grader.{name}: {part} is read by a model: name it here, and choose grader=local or grader=openai"
    hint = "; model=FOLDER or model=ORG/NAME gives both" if {"model.name", "model.chat.path"} <= set(keys) else ""
    return f"{', '.join(keys)}: {'a value is' if len(keys) == 1 else 'values are'} needed here{hint}"


def saved_experiment(file: Path) -> Experiment:
    """The experiment of a run, from the config.yaml that lies in its folder."""
    try:
        config = yaml.safe_load(read_text(file))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as fault:
        reason = " ".join(str(fault).split())
        raise UserError(f"{file} cannot be read: {reason}; run the experiment again") from fault
    if not isinstance(config, dict):
        raise UserError(f"{file} is not the config of a run")
    return build_plain(config)


PLAIN = ("name", "seed", "stop_early", "max_span_loss", "output_dir", "store_dir", "quiet", "report", "until", "shard")


def build(node: Any, key: str) -> Any:
    """A part from its yaml node: `_target_` names a dataclass, everything else are its fields."""
    if not isinstance(node, dict) or "_target_" not in node:
        raise UserError(f"{key}: a part needs a _target_, the dotted name of its class, not {node!r}")
    kind = _class_of(node["_target_"], f"{key}._target_")
    return _fill(kind, {name: value for name, value in node.items() if name != "_target_"}, key)


# Modules of parts as configs of older runs name them, and where the parts are now.
MOVED = {
    "hneuro.endpoint.settings": "hneuro.endpoint.client",
    "hneuro.origin.settings": "hneuro.origin.drift",
    "hneuro.questions.fabricated.source": "hneuro.questions.fabricated",
    "hneuro.spans.letter": "hneuro.spans.short_answer",
    "hneuro.verdicts.splits": "hneuro.questions.splits",
}


def _class_of(target: str, key: str) -> type[Any]:
    module, _, name = str(target).rpartition(".")
    module = MOVED.get(module, module)
    try:
        kind = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as fault:
        if module.partition(".")[0] == fault.name:
            way = f"install the package {fault.name}, or add the folder that it lies in to PYTHONPATH"
            raise UserError(f"{key}: there is no class {target!r}, as there is no {fault.name} here: {way}") from fault
        raise UserError(f"{key}: there is no class {target!r} ({fault})") from fault
    except (ImportError, AttributeError, ValueError) as fault:
        raise UserError(f"{key}: there is no class {target!r} ({fault})") from fault
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise UserError(f"{key}: {target} is not a dataclass, which every part must be")
    return kind


def _fill(kind: type[Any], values: dict[str, Any], key: str) -> Any:
    """An instance of the dataclass `kind`, its fields checked against their annotations."""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    for name in values:
        if name not in fields:
            raise UserError(no_such_key(f"{key}.{name}", list(fields)))
    filled = {name: _value(hints[name], value, f"{key}.{name}") for name, value in values.items()}
    for name, f in fields.items():
        if name not in filled and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise UserError(f"{key}.{name}: {kind.__name__} needs a value here")
    ours = kind.__module__.partition(".")[0] == __package__  # a lab's parts say themselves what fits
    for name, value in filled.items():
        if ours and isinstance(value, int | float) and value < 0:
            raise UserError(f"{key}.{name} must not be negative, and is {value}")
    try:
        return kind(**filled)
    except ValueError as fault:
        raise UserError(f"{key}: {fault}") from fault


def _value(hint: Any, value: Any, key: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    if isinstance(value, dict) and "_target_" in value:
        part = build(value, key)
        expected = [k for k in (hint, *typing.get_args(hint)) if isinstance(k, type) and k is not type(None)]
        if expected and not isinstance(part, tuple(expected)):
            raise UserError(f"{key}: a {type(part).__name__} is no {expected[0].__name__}")
        return part
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _fill(hint, value, key)
    if isinstance(value, dict) and any(isinstance(part, dict) and "_target_" in part for part in value.values()):
        return {name: build(part, f"{key}.{name}") for name, part in value.items() if part is not None}
    try:
        return TypeAdapter(hint, config={"arbitrary_types_allowed": True}).validate_python(value)
    except ValidationError as fault:
        problem = fault.errors()[0]
        raise UserError(f"{key}: {value!r} does not fit: {problem['msg'].lower()}") from fault
