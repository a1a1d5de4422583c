"""Checkpoints in GGUF files: one file with weights, config, tokenizer and chat template.

The weights are dequantised by transformers when they are loaded, so what is measured is an ordinary float model. The
layout of a file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import hashlib
import re
import struct
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from hneuro.records import UserError

MAGIC = b"GGUF"
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
ONE_OF_SEVERAL = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
TURN_ENDS = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id")
NO_DECODERS = ("general", "tokenizer", "t5", "umt5")  # among the names that transformers lists


@dataclass(frozen=True)
class Header:
    """What a file says of itself. `values` are its metadata without arrays, `tensors` (kind, elements) by name."""

    values: Mapping[str, Any]
    tensors: Mapping[str, tuple[str, int]]

    @property
    def turn_ends(self) -> frozenset[int]:
        """The ids of tokens that end a turn."""
        return frozenset(int(self.values[key]) for key in TURN_ENDS if key in self.values)

    @property
    def quantisation(self) -> str:
        """Such as Q4_K_M: what the file calls itself, or else the kind of most of its weights."""
        from gguf.constants import LlamaFileType

        names = {kind.value: kind.name for kind in LlamaFileType}
        number = self.values.get("general.file_type")
        if number in names:
            return names[number].removeprefix("MOSTLY_").removeprefix("ALL_")
        counts = Counter[str]()
        for kind, elements in self.tensors.values():
            counts[kind] += elements
        return counts.most_common(1)[0][0]


class GgufSource(ABC):
    """A checkpoint that is one GGUF file, wherever it comes from."""

    @abstractmethod
    def locate(self) -> str:
        """The path of the file, which need not be there yet."""

    @abstractmethod
    def identity(self) -> str:
        """SHA-256 of the file."""

    @abstractmethod
    def file(self) -> Path:
        """The file, fetched if it is not there, and checked; `UserError` where it cannot be loaded."""

    def files(self) -> Path:
        return self.file().parent

    def header(self) -> Header | None:
        """None where the file is not there; nothing is fetched."""
        file = Path(self.locate())
        return checked(file) if file.is_file() else None

    def quantisation(self) -> str:
        """What the weights went through, such as Q4_K_M; "" where the file is not there any more."""
        header = self.header()
        return "" if header is None else header.quantisation

    @contextmanager
    def alone(self) -> Iterator[dict[str, str]]:
        """Arguments for `from_pretrained`: the file in a folder of its own, where no other tokenizer or config lies."""
        file = self.file().absolute()
        with TemporaryDirectory(prefix="hneuro-gguf-") as folder:
            (Path(folder) / "model.gguf").symlink_to(file)
            yield {"pretrained_model_name_or_path": folder, "gguf_file": "model.gguf"}


@dataclass(frozen=True, kw_only=True)
class GgufCheckpoint(GgufSource):
    """A local GGUF file."""

    path: str

    def locate(self) -> str:
        return str(Path(self.path).expanduser())

    def identity(self) -> str:
        return sha256_of(self.file())

    def file(self) -> Path:
        file = Path(self.locate())
        if file.is_dir():
            inside = sorted(file.glob("*.gguf"))
            named = inside[0] if len(inside) == 1 else "FILE.gguf"
            raise UserError(f"{file} is a folder, and model=gguf reads one file: model.chat.path={named}")
        if not file.is_file():
            raise UserError(f"there is no file {file}: model=gguf reads a GGUF file on this disk")
        checked(file)
        return file


def need_package() -> None:
    if find_spec("gguf") is None:
        raise UserError("GGUF files are read with the package gguf, which is not installed: pip install 'hneuro[gguf]'")


def sha256_of(file: Path) -> str:
    """SHA-256 of a file, read once in this process as long as it does not change."""
    found = file.stat()
    return _sha256(file, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(file: Path, size: int, modified: int) -> str:  # noqa: ARG001
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


def checked(file: Path) -> Header:
    """The header of a file that transformers can load, as far as a header tells; `UserError` for any other."""
    found = file.stat()
    return _checked(file, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=64)
def _checked(file: Path, size: int, modified: int) -> Header:  # noqa: ARG001
    need_package()
    with file.open("rb") as data:
        if data.read(4) != MAGIC:
            raise UserError(f"{file} is not a GGUF file (it does not begin with {MAGIC.decode()})")
        try:
            header, end = _read(data)
        except (struct.error, UnicodeDecodeError, MemoryError, OverflowError) as fault:
            raise UserError(f"{file} is truncated or damaged: its header cannot be read; download it again") from fault
        except ValueError as fault:
            raise UserError(f"{file} cannot be read: {fault}") from fault
    if header.values.get("split.count", 0) > 1 or ONE_OF_SEVERAL.search(file.name):
        raise UserError(
            f"{file} is one of several files of a split model: merge them (llama-gguf-split --merge FIRST OUT.gguf), "
            "and name the merged file"
        )
    if size < end:
        raise UserError(f"{file} is truncated: it has {size:,} of {end:,} bytes; download it again")
    _check_architecture(file, str(header.values.get("general.architecture")))
    return header


def _read(data: BinaryIO) -> tuple[Header, int]:
    """The header behind the magic, and how many bytes the whole file has."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    (version,) = _take(data, "I")
    if version not in (2, 3):
        raise ValueError(f"version {version} of the format is not supported")
    n_tensors, n_values = _take(data, "QQ")
    values = {}
    for _ in range(n_values):
        key = _text(data)
        value = _value(data, *_take(data, "I"))
        if value is not None:
            values[key] = value
    tensors, end = {}, 0
    for _ in range(n_tensors):
        name, elements = _text(data), 1
        for size in _take(data, "Q" * _take(data, "I")[0]):
            elements *= size
        number, offset = _take(data, "IQ")
        kind = GGMLQuantizationType(number)
        block, bytes_ = GGML_QUANT_SIZES[kind]
        tensors[name] = kind.name, elements
        end = max(end, offset + elements // block * bytes_)
    alignment = int(values.get("general.alignment", 32))
    start = -(-data.tell() // alignment) * alignment
    return Header(values, tensors), start + end


def _take(data: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{form}", data.read(struct.calcsize(f"<{form}")))


def _text(data: BinaryIO) -> str:
    (length,) = _take(data, "Q")
    text = data.read(length)
    if len(text) < length:
        raise struct.error("cut")
    return text.decode()


def _value(data: BinaryIO, kind: int) -> Any:
    """A value of the metadata; None for an array, which is skipped."""
    if kind == STRING:
        return _text(data)
    if kind != ARRAY:
        if kind not in SCALARS:
            raise ValueError(f"its metadata has a value of the unknown type {kind}")
        return _take(data, SCALARS[kind])[0]
    inner, count = _take(data, "IQ")
    if inner in SCALARS:
        data.seek(count * struct.calcsize(SCALARS[inner]), 1)
        return None
    for _ in range(count):
        if inner == STRING:
            data.seek(_take(data, "Q")[0], 1)
        else:
            _value(data, inner)
    return None


def _check_architecture(file: Path, architecture: str) -> None:
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    try:
        from transformers.integrations.gguf import GGUF_CONFIG_ARCHS
    except ImportError:  # an older transformers
        GGUF_CONFIG_ARCHS = {}
    known = sorted({*GGUF_SUPPORTED_ARCHITECTURES, *GGUF_CONFIG_ARCHS} - {*NO_DECODERS})
    if _bare(architecture) not in map(_bare, known):
        raise UserError(
            f"{file}: transformers cannot convert the architecture {architecture}; it can {', '.join(known)}"
        )


def _bare(name: str) -> str:
    return name.replace("-", "").replace("_", "")
