"""The columns of some neurons of a down projection, read from a safetensors file and written into it bit by bit."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

# How a tensor is kept: the integers that stand for its bits, the same to torch, and what they are.
BITS: dict[str, tuple[Any, torch.dtype, torch.dtype]] = {
    "F64": (np.int64, torch.int64, torch.float64),
    "F32": (np.int32, torch.int32, torch.float32),
    "F16": (np.int16, torch.int16, torch.float16),
    "BF16": (np.int16, torch.int16, torch.bfloat16),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredColumns:
    """Neurons `indices` [k] of one tensor. `by_input`: it is stored as [neuron, hidden], not [hidden, neuron]."""

    file: str
    tensor: str
    by_input: bool
    indices: tuple[int, ...]

    def read(self, folder: Path) -> Tensor:
        """[hidden, k], in the precision of the file, which has to be writable."""
        columns, dtype = self._mapped(folder)
        return torch.from_numpy(columns[:, list(self.indices)].copy()).view(BITS[dtype][2])

    def write(self, folder: Path, values: Tensor) -> None:
        """Writes [hidden, k]; nothing else of the file changes."""
        columns, dtype = self._mapped(folder)
        columns[:, list(self.indices)] = values.to(BITS[dtype][2]).contiguous().view(BITS[dtype][1]).numpy()

    def _mapped(self, folder: Path) -> tuple[np.memmap[Any, Any], str]:
        """A writable map [hidden, neuron] of the tensor's bits, and how the file calls their type."""
        file = folder / self.file
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            entry = json.loads(opened.read(length))[self.tensor]
        start, shape = 8 + length + entry["data_offsets"][0], tuple(entry["shape"])
        bits: np.memmap[Any, Any] = np.memmap(file, dtype=BITS[entry["dtype"]][0], mode="r+", offset=start, shape=shape)
        return (bits.T if self.by_input else bits), entry["dtype"]
