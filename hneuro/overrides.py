"""A command line as Hydra reads it: models by their path, and values whose signs Hydra's grammar has not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hneuro.config import config_folder
from hneuro.config_faults import quoted

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


def _is_checkpoint(value: str, lab: Sequence[Path]) -> bool:
    """Whether a model is named by a folder, a file or a hub id, and not as a choice."""
    if any((folder / "model" / f"{value}.yaml").is_file() for folder in (config_folder(), *lab)):
        return False
    return "/" in value or Path(value).is_dir() or value.endswith(".gguf")
