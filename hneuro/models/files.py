"""FFN weights read from a checkpoint's safetensors, one tensor at a time: nothing of the model is loaded.

Where the matrices are is found by structure in a model without weights, and their names are looked up in the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from hneuro.models.ffn import DownProjection, find_ffn
from hneuro.models.gguf import GgufSource
from hneuro.models.load import empty_model
from hneuro.models.sources import INDEX, SINGLE, CheckpointSource, placed_tensors, weight_files
from hneuro.models.weights import inputs_first, shape_of
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

PLAIN = ("F64", "F32", "F16", "BF16")


class NotPlain(UserError):  # noqa: N818
    """The files do not hold each matrix as one tensor of plain numbers; the loaded model has to be asked."""


@dataclass(frozen=True)
class StoredMatrix:
    """A linear map in a file. `by_input`: stored as [in, out], as GPT-2 does, and not as [out, in]."""

    file: Path
    name: str
    by_input: bool

    def read(self) -> Tensor:
        """The tensor as it is stored."""
        with _opened(self.file) as tensors:
            found: Tensor = tensors.get_tensor(self.name)
        return found


@dataclass(frozen=True)
class StoredLayer:
    """The matrices of one layer's FFN. A fused `up` holds the gate rows before its own."""

    down: StoredMatrix
    up: StoredMatrix
    gate: StoredMatrix | None
    width: int

    def down_rows(self) -> Tensor:
        """W_down with a row for each neuron: [neuron, hidden]."""
        weight = self.down.read()
        return weight if self.down.by_input else weight.T

    def up_rows(self) -> Tensor:
        """W_up with a row for each neuron: [neuron, hidden]."""
        return _outputs(self.up)[-self.width :]

    def gate_rows(self) -> Tensor | None:
        """W_gate with a row for each neuron; None in an FFN without gate."""
        return None if self.gate is None else _outputs(self.gate)[: self.width]


def _outputs(matrix: StoredMatrix) -> Tensor:
    weight = matrix.read()
    return weight.T if matrix.by_input else weight


@dataclass(frozen=True)
class StoredFFN:
    """The FFN weights of a checkpoint on the disk, by layer."""

    layers: tuple[StoredLayer, ...]
    space: NeuronSpace


def stored_ffn(source: CheckpointSource) -> StoredFFN:
    """Where a checkpoint's FFN weights are in its files. `NotPlain` where they are not there as plain tensors."""
    if isinstance(source, GgufSource):
        raise NotPlain(f"{source.locate()} is a GGUF file, which holds its weights in blocks of its own kind")
    model = empty_model(source)
    ffn = find_ffn(model)
    names = {module: name for name, module in model.named_modules()}
    index = tensor_files(source.files())

    def stored(module: nn.Module) -> StoredMatrix:
        name = _stored_name(f"{names[module]}.weight", index)
        matrix = StoredMatrix(index[name], name, inputs_first(module))
        with _opened(matrix.file) as tensors:
            found = tensors.get_slice(name)
            shape = shape_of(module) or (0, 0)
            expected = list(shape if matrix.by_input else shape[::-1])
            if found.get_dtype() not in PLAIN or found.get_shape() != expected:
                raise NotPlain(f"{name} in {matrix.file} is {found.get_dtype()} of {found.get_shape()}, not plain")
        return matrix

    layers = []
    for layer in ffn.layers:
        if not isinstance(layer, DownProjection):
            raise NotPlain(f"{source.locate()} is a mixture of experts, whose weights may be stored in several ways")
        gate = layer.gate
        layers.append(
            StoredLayer(stored(layer.module), stored(layer.up), None if gate is None else stored(gate), layer.width)
        )
    return StoredFFN(tuple(layers), ffn.space)


def tensor_files(folder: Path) -> Mapping[str, Path]:
    """Tensor name -> the safetensors file that transformers reads it from. `NotPlain` if the folder has none."""
    if not (folder / SINGLE).is_file() and (folder / INDEX).is_file():
        return {name: folder / file for name, file in placed_tensors(folder).items()}
    found: dict[str, Path] = {}
    for file in weight_files(folder):
        with _opened(file) as tensors:
            found |= dict.fromkeys(tensors.keys(), file)
    if not found:
        raise NotPlain(f"{folder} has no safetensors files: save the checkpoint again with transformers")
    return found


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        with safe_open(file, framework="pt") as tensors:
            yield tensors
    except (SafetensorError, OSError) as fault:
        raise UserError(f"{file} cannot be read: {fault}") from fault


def _stored_name(name: str, index: Mapping[str, Any]) -> str:
    """The name in the files of a parameter, whose first parts may be others there: wrappers come and go."""
    parts = name.split(".")
    for start in range(len(parts)):
        suffix = ".".join(parts[start:])
        found: Sequence[str] = [key for key in index if key == suffix or key.endswith(f".{suffix}")]
        if len(found) == 1:
            return found[0]
        if found:
            break
    raise NotPlain(f"the files do not say which of their tensors is {name}")
