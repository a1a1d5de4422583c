"""Command lines that stand in a text, taken at their word."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from hneuro.config import as_hydra_reads, build_experiment, config_folder, register_schema
from hneuro.config_faults import quoted


def composed(*overrides: str) -> DictConfig:
    """The config of a run with these overrides, as Hydra composes it."""
    register_schema()
    with initialize_config_dir(str(config_folder()), version_base="1.3"):
        return compose("config", overrides=list(overrides))


def fits_together(command: str, folder: Path) -> None:
    """`hneuro run ...` composes, and its parts can be built and go together. Of a sweep, its first cell."""
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "ours.yaml").write_text("defaults: [hub]\nname: ours\nchat: {path: /ours}\n")
    words = shlex.split(command, comments=True)[2:]
    if "--config-dir" in words:
        assert words[:2] == ["--config-dir", "/lab/conf"]
        words = [f"hydra.searchpath=[{quoted(f'file://{folder}')}]", *words[2:]]
    assert not {"-m", "--cfg"} <= {*words}, "Hydra takes one of them"
    words = [word for word in words if word not in ("-m", "--dry-run", "--cfg", "job")]
    first = [re.split(r",(?![^\[]*\]|[^{]*})", word)[0] for word in words]  # not at commas within a list or an object
    build_experiment(composed(*as_hydra_reads(first, [folder])))
