"""Where a run came from: what somebody needs to know to repeat it."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hneuro import __version__
from hneuro.codec import to_plain
from hneuro.experiment import Experiment
from hneuro.records import Origin

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "hydra-core",
    "omegaconf",
    "numpy",
    "scipy",
    "scikit-learn",
    "pandas",
    "vllm",
)


def run_card(experiment: Experiment, data: Mapping[str, Origin] | None = None) -> dict[str, Any]:
    """Versions, hardware, commit and identity of a run. No environment variable is read into it, so no secret is.

    `data`: where each data set came from, which is known once it has been read.
    """
    return {
        "identity": experiment.identity,
        "hneuro": __version__,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "folder": str(Path.cwd()),
        "seed": experiment.seed,
        "commit": _commit(Path(__file__).parent.parent),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "machine": _machine(),
        "chat": experiment.model.chat.identity(),
        "base": experiment.model.base.identity() if experiment.model.base else None,
        "data": to_plain(data),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def code_now() -> list[Any]:
    """What tells one state of the code from another: the version, and in a checkout what is in hneuro/."""
    commit = _commit(Path(__file__).parent.parent) or {}
    return [__version__, commit.get("tree"), commit.get("diff")]


def code_of(card: Mapping[str, Any]) -> list[Any]:
    """`code_now` as it was when a run card was written."""
    commit = card.get("commit") or {}
    return [card.get("hneuro"), commit.get("tree"), commit.get("diff")]


@cache
def _commit(folder: Path) -> Mapping[str, Any] | None:
    """The commit of a checkout, the files that differ from it, and digests of hneuro/ and of what differs in it.

    None where hneuro was installed without a checkout.
    """

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout

    if not (folder / ".git").exists():
        return None
    try:
        diff = git("diff", "HEAD", "--", "hneuro")
        return {
            "id": git("rev-parse", "HEAD").strip(),
            "changed": git("status", "--porcelain").splitlines(),
            "tree": git("rev-parse", "HEAD:hneuro").strip(),
            "diff": hashlib.sha256(diff.encode()).hexdigest()[:16] if diff else "",
        }
    except (OSError, subprocess.CalledProcessError):
        return None


def _machine() -> dict[str, Any]:
    import torch

    return {
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
    }
