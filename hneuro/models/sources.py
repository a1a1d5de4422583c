"""Where a checkpoint comes from. A source says what to load and identifies it; it loads nothing itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from hneuro.disk import file_digest
from hneuro.organism import SHIPPED
from hneuro.records import UserError
from hneuro.store import fingerprint

# The files of a hub checkpoint, with those of any tokenizer; weights in other forms are often there twice.
CHECKPOINT = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.md", "LICENSE*", "NOTICE*"]


@runtime_checkable
class CheckpointSource(Protocol):
    """A part of the model config."""

    def locate(self) -> str:
        """A path or hub id for `from_pretrained`."""

    def identity(self) -> str:
        """Equal for equal weights and tokenizer: what the store's keys are made of."""

    def files(self) -> Path:
        """The folder of its config, tokenizer and weights; those of the hub are fetched if they are not there."""


@dataclass(frozen=True, kw_only=True)
class HubCheckpoint:
    """A checkpoint of the Hugging Face hub, or a local folder in the same layout.

    A `revision` that moves, such as the default "main", stands for the commit that it names when it is first asked
    for: the same commit is loaded, and a branch that has moved is another checkpoint.
    """

    path: str
    revision: str | None = None

    def __post_init__(self) -> None:
        if self.path.endswith(".gguf"):
            raise UserError(f"{self.path} is a GGUF file: choose model=gguf model.chat.path={self.path}")

    def commit(self) -> str:
        """The commit of the revision; the revision itself where neither the hub nor its cache knows it."""
        return _commit(self.path, self.revision or "main")

    def locate(self) -> str:
        return self.path

    def files(self) -> Path:
        from huggingface_hub import snapshot_download

        if Path(self.path).is_dir():
            return Path(self.path)
        try:
            return Path(snapshot_download(self.path, revision=self.commit(), allow_patterns=CHECKPOINT))
        except (OSError, ValueError) as fault:
            raise UserError(f"cannot fetch the weights of {self.path}: {str(fault).splitlines()[0]}") from fault

    def identity(self) -> str:
        folder = Path(self.path)
        return folder_identity(folder) if folder.is_dir() else f"{self.path}@{self.commit()}"


@dataclass(frozen=True, kw_only=True)
class OrganismCheckpoint:
    """The embedded model organism, which comes with the package."""

    role: Literal["base", "chat"]

    def locate(self) -> str:
        return str(self.files())

    def identity(self) -> str:
        return folder_identity(self.files())

    def files(self) -> Path:
        return SHIPPED / self.role


def on_disk(source: CheckpointSource) -> Path | None:
    """The folder of a checkpoint whose weights are all here, in the cache of the hub too; nothing is fetched."""
    folder = Path(source.locate())
    if not folder.is_dir() and isinstance(source, HubCheckpoint):
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(source.path, revision=source.commit(), local_files_only=True))
        except (OSError, ValueError):  # not in the cache
            return None
    index = folder / "model.safetensors.index.json"
    if index.is_file():  # a download that was cut has some of them
        named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        return folder if all((folder / name).is_file() for name in named) else None
    return folder if any(folder.glob("*.safetensors")) else None


@cache
def _commit(path: str, revision: str) -> str:
    from huggingface_hub import hf_hub_download

    try:
        # Asks the hub if it can be reached, else the cache, whose snapshots are folders named by their commit.
        return Path(hf_hub_download(path, "config.json", revision=revision)).parent.name
    except (OSError, ValueError):  # not there or not allowed: loading it says why
        return revision


def folder_identity(folder: Path) -> str:
    """Digest over the files of a checkpoint folder that decide what it computes; `UserError` if it is none."""
    if (folder / "adapter_config.json").exists():
        raise UserError(
            f"{folder} is an adapter, not a model: merge it into its base model "
            "(peft: merge_and_unload, then save_pretrained) and name that folder"
        )
    if not (folder / "config.json").exists() and (file := next(folder.glob("*.gguf"), None)):
        raise UserError(f"{folder} holds a GGUF file: choose model=gguf model.chat.path={file}")
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} is no checkpoint: it has no config.json")
    if not any(folder.glob("*.safetensors")) and (pickled := next(folder.glob("*.bin"), None)):
        raise UserError(
            f"{folder} holds its weights in {pickled.name}: only safetensors are read, so save it again with "
            "transformers (from_pretrained, then save_pretrained)"
        )
    files = [f for f in sorted(folder.iterdir()) if f.suffix in {".json", ".safetensors", ".jinja", ".model", ".txt"}]
    return fingerprint({f.name: file_digest(f) for f in files})
