"""Where a checkpoint comes from. A source says what to load and identifies it; it loads nothing itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

from hneuro.disk import file_digest, read_text
from hneuro.models.patch import PATCH
from hneuro.records import UserError
from hneuro.store import fingerprint

# The files of a hub checkpoint but for its weights, which are often there in other forms as well.
BESIDE_WEIGHTS = ["*.json", "*.model", "*.txt", "*.jinja", "*.md", "LICENSE*", "NOTICE*"]
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


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
            beside = snapshot_download(self.path, revision=self.commit(), allow_patterns=BESIDE_WEIGHTS)
            wanted = [*BESIDE_WEIGHTS, *(_indexed(Path(beside)) or [SINGLE])]
            return Path(snapshot_download(self.path, revision=self.commit(), allow_patterns=wanted))
        except (OSError, ValueError) as fault:
            raise UserError(f"cannot fetch the weights of {self.path}: {str(fault).splitlines()[0]}") from fault

    def identity(self) -> str:
        folder = Path(self.path)
        return folder_identity(folder) if folder.is_dir() else f"{self.path}@{self.commit()}"


def _indexed(folder: Path) -> set[str]:
    """The files that hold the weights, as the index says; none where there is no index."""
    index = folder / INDEX
    return set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index.is_file() else set()


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
    tensors = {file.name for file in folder.glob("*.safetensors")}
    adapter = {name for name in tensors if name.startswith("adapter_")}
    if (folder / "adapter_config.json").exists() and (adapter or not tensors):  # else it was left behind by a merge
        raise UserError(
            f"{folder} is an adapter, not a model: merge it into its base model "
            "(peft: merge_and_unload, then save_pretrained) and name that folder"
        )
    if not (folder / "config.json").exists() and (file := next(folder.glob("*.gguf"), None)):
        raise UserError(f"{folder} holds a GGUF file: choose model=gguf model.chat.path={file}")
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} is not a checkpoint: it has no config.json")
    for file in filter(Path.exists, sorted(folder.glob("*config.json"))):
        _check_config(file)
    weights = weight_files(folder)
    if not weights and (pickled := next(folder.glob("*.bin"), None)):
        raise UserError(
            f"{folder} holds its weights in {pickled.name}: only safetensors are read, so save it again with "
            "transformers (from_pretrained, then save_pretrained)"
        )
    if not weights:
        raise UserError(f"{folder} has no weights: there is neither {SINGLE} nor {INDEX}")
    files = [f for f in folder.iterdir() if f.suffix in {".json", ".safetensors", ".jinja", ".model", ".txt"}]
    # Of a large file not every byte is read: an edit of a few columns may only be seen in the patch that it has left.
    files += [*weights, *folder.glob("additional_chat_templates/*.jinja"), *folder.glob(PATCH)]
    return fingerprint({f.relative_to(folder).as_posix(): file_digest(f) for f in files if f.is_file()})


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The files that transformers loads a local checkpoint's weights from; empty where it has no safetensors.

    `UserError` for an index that names what is not there, not in the folder, or no safetensors.
    """
    if (folder / SINGLE).is_file():
        return (folder / SINGLE,)
    if not (folder / INDEX).is_file():
        return ()
    return tuple(folder / name for name in sorted(set(placed_tensors(folder).values())))


def placed_tensors(folder: Path) -> Mapping[str, str]:
    """Tensor name -> file below the folder, as the index has it; errors as in `weight_files`."""
    try:
        placed = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        names = sorted({str(file) for file in placed.values()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as fault:
        raise UserError(f"{folder / INDEX} is not an index of weights: fetch or save the checkpoint again") from fault
    for name in names:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or path.suffix != ".safetensors":
            raise UserError(f"{folder / INDEX} names {name!r}, which is not a safetensors file of that folder")
        if not (folder / name).is_file():
            raise UserError(f"{folder} is not complete: {INDEX} names {name}, which is not there")
    return {str(tensor): str(file) for tensor, file in placed.items()}


def _check_config(file: Path) -> None:
    try:
        config = json.loads(read_text(file))
    except (OSError, ValueError, RecursionError) as fault:
        raise UserError(f"{file} cannot be read: {str(fault).splitlines()[0]}") from fault
    if not isinstance(config, dict):
        raise UserError(f"{file} is not the config of a model: it must be a JSON object")
    if "transformers_weights" in config:
        raise UserError(
            f"{file} names its weights (transformers_weights), which is not supported: save the checkpoint again with "
            "transformers (from_pretrained, then save_pretrained)"
        )
