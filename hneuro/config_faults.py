"""What is wrong with a config or a command line, in one line: the key, the value and what is allowed."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

KEY_AND_VALUE = re.compile(r"[~+]*[\w.@/:-]+=", re.ASCII)


def explain(fault: BaseException) -> str:
    """The message of a fault of Hydra, OmegaConf or what they read, with the nearest key where one was mistyped."""
    if isinstance(fault, yaml.YAMLError):
        return f"a config is not yaml: {' '.join(str(fault).split())}"
    if isinstance(fault, UnicodeDecodeError):
        return f"a config is not UTF-8 text ({fault.reason}): hneuro configs --check FOLDER names it"
    if isinstance(fault, RecursionError):
        return "a config is among its own defaults: hneuro configs --check FOLDER names it"
    if isinstance(fault, OSError) and not isinstance(fault, HydraException):
        return f"Hydra cannot use {fault.filename} ({fault.strerror}): choose another hydra.run.dir or hydra.sweep.dir"
    causes = [fault]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    for cause in causes:
        if isinstance(cause, ConfigKeyError | ConfigAttributeError) and cause.parent_node is not None:
            return no_such_key(str(cause.full_key), [str(key) for key in cause.parent_node])
    if isinstance(fault, MissingConfigException) and fault.options:
        name = str(fault.missing_cfg_file)
        group, _, wanted = name.rpartition("/")
        if group == "hydra/launcher":
            extras = "'hneuro[joblib]' or 'hneuro[slurm]'"
            return f"the launcher {wanted} is not installed: pip install {extras}"
        return f"{group}={wanted}: there is no such choice; {suggest(wanted, sorted(fault.options))}"
    if isinstance(fault, OverrideParseException) and not KEY_AND_VALUE.match(fault.override):
        return f"{fault.override}: this is not an override, KEY=VALUE with a key of plain letters"
    if isinstance(fault, OverrideParseException) and (word := _in_quotes(fault.override)):
        return f"{fault.override}: Hydra cannot read this value; if it is a text, type {shlex.quote(word)}"
    said = causes[-1] if isinstance(causes[-1], OmegaConfBaseException) else fault
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    where = f"{said.full_key}: " if isinstance(said, OmegaConfBaseException) and said.full_key else ""
    hidden = ("object_type", "reference_type", "full_key", "^", "See https")
    return where + "; ".join(line for line in lines if not line.startswith(hidden))


def no_name_of_a_choice(fault: ValueError, words: Sequence[str], folder: Path) -> str:
    """What to say of a group that is null or a number; "" where the fault is another one."""
    if not str(fault).startswith("Config group override must be"):
        return ""
    for word in words:
        group, given, value = word.partition("=")
        if given and (folder / group).is_dir() and not isinstance(yaml.safe_load(value), str):
            there = sorted(file.stem for file in (folder / group).glob("*.yaml"))
            return f"{word}: the name of a choice is needed here; {suggest(value, there)}"
    return str(fault)


def _in_quotes(override: str) -> str:
    """An override with its value in quotes; "" where it still could not be read."""
    key, _, value = override.partition("=")
    word = f"{key}={quoted(value)}" if '"' in value or value.endswith("\\") else f'{key}="{value}"'
    try:
        (read,) = OverridesParser.create().parse_overrides([word])
    except HydraException:
        return ""
    return word if read.value() == value else ""


def no_such_key(key: str, known: Sequence[str]) -> str:
    """`known`: what may take its place."""
    where, _, wanted = key.rpartition(".")
    known = [name for name in known if name not in ("_target_", "hydra")]
    if not where:
        known.append("experiment")  # a group whose choices write all over the config
    if where == "hydra.launcher" and not known:  # that of the default, which runs all in this process
        return f"{key}: this launcher has no settings; choose another one, as launcher=joblib"
    return f"{key}: there is no such key; {suggest(wanted, known)}"


def suggest(wanted: str, known: Sequence[str]) -> str:
    near = [name for name in known if name.casefold() == wanted.casefold()]
    near = near or difflib.get_close_matches(wanted, known, n=1)
    near = near or [name for name in known if wanted and name.startswith(wanted)]
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"


def quoted(value: str) -> str:
    """A text as one value of Hydra's grammar, whatever signs it has."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
