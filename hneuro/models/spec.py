"""The model config: which checkpoints, in which precision, on which device, and how they are prompted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hneuro.models.chat import Prompting
from hneuro.models.sources import CheckpointSource
from hneuro.records import ASIDE

DEVICE = re.compile(r"auto|cpu|(cuda|mps|xpu|hpu|npu)(:\d{1,3})?")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A chat checkpoint, and its base model if the origin is to be measured.

    `checkpoints` are moments of the base model's pre-training by name, earliest first: revisions on the hub, folders.

    `temperature`: of its samples, unless `sampling` says otherwise. `dtype` and `attention` decide the
    bits of every result, so they belong to the keys of the store. `device_map` is for a model that is too large for one
    device: "auto" lays its layers out over all devices, the memory and the disk of this machine, and a map says which
    part goes where. `patch`: a file of `hneuro edit
    --patch-only`, or an edited checkpoint, whose edit the chat model is given when it is loaded.
    """

    name: str
    chat: CheckpointSource
    base: CheckpointSource | None = None
    checkpoints: Mapping[str, CheckpointSource] = field(default_factory=dict)
    prompting: Prompting = field(default_factory=Prompting)
    temperature: float = 1.0
    dtype: Literal["float32", "bfloat16", "float16", "auto"] = "auto"
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"
    device: str = "auto"  # "auto": cuda, else mps, else cpu
    device_map: Literal["auto"] | dict[str, str | int] | None = None
    patch: str | None = None
    accept_terms: bool = field(default=False, metadata=ASIDE)  # of a checkpoint that has some; read by its source

    def __post_init__(self) -> None:
        if not DEVICE.fullmatch(self.device):
            raise ValueError(f"device must be auto, cpu, mps, cuda or one of several as cuda:1, not {self.device!r}")
        for name, source in self.checkpoints.items():
            if not isinstance(source, CheckpointSource):
                raise ValueError(f"checkpoints.{name}: a {type(source).__name__} is not a checkpoint")
        if self.checkpoints and self.base is None:
            raise ValueError("checkpoints read the base model's answers: name the base model too, or leave them out")


def pick_device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
