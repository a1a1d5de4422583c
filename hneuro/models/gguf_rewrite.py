"""A GGUF file edited, for llama.cpp: the columns of some neurons scaled, in a copy.

A matrix that changes is written in F16, or in its own kind where that is plain numbers; all else is copied as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hneuro.codec import from_plain, to_plain
from hneuro.disk import appearing, check_room, writing
from hneuro.models.gguf import GgufSource, checked
from hneuro.models.patch import Patch, check_fits
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter

KEY = "hneuro.patch"  # of the metadata
LAYER, DOWN = re.compile(r"blk\.(\d+)\."), re.compile(r"blk\.(\d+)\.ffn_down\.weight")
PLAIN = ("F32", "F16", "BF16")


def gguf_space(source: GgufSource) -> NeuronSpace:
    """The FFN neurons of a file; `UserError` where a layer has other than one down projection."""
    found = _opened(source.file()).tensors
    widths = {int(match[1]): int(t.shape[0]) for t in found if (match := DOWN.fullmatch(t.name))}
    layers = {int(match[1]) for t in found if (match := LAYER.match(t.name))}
    if not widths or set(widths) != layers:
        raise UserError(
            f"{source.locate()} cannot be edited: not every layer has one ffn_down.weight (mixtures of experts are "
            "not supported)"
        )
    own = tuple((1, widths[n], 0) for n in sorted(layers))
    return NeuronSpace(
        n_layers=len(own), width=max(widths.values()), layers=() if len(set(widths.values())) == 1 else own
    )


def edit_gguf(source: GgufSource, out: Path, patch: Patch) -> None:
    """Writes the file with the patch applied, and named in its metadata, to `out`, which is not there yet.

    It appears at once: what was killed is begun again. Memory is needed for one matrix.
    """
    from gguf import GGUFWriter, Keys

    check_fits(patch, gguf_space(source), source.identity(), source.locate())
    reader, by_layer = _opened(source.file()), patch.of_layers()
    with writing("the edited checkpoint", out.absolute().parent, instead="another --out"):
        out.parent.mkdir(parents=True, exist_ok=True)
        with appearing(out) as fresh:
            writer = GGUFWriter(fresh, str(reader.fields[Keys.General.ARCHITECTURE].contents()))
            _begin(writer, reader, patch)
            needed = sum(_described(writer, t, _layer(t) in by_layer) for t in reader.tensors)
            check_room("the edited checkpoint", out.absolute().parent, needed)
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
            try:
                for tensor in reader.tensors:
                    edit = by_layer.get(_layer(tensor))
                    writer.write_tensor_data(tensor.data if edit is None else _scaled(tensor, *edit, patch.times))
            finally:
                writer.close()


def gguf_done_by(file: Path, patch: Patch) -> bool:
    """Whether a file was made by a patch that does the same; `UserError` where something else is there."""
    if not file.exists():
        return False
    said = checked(file).values.get(KEY) if file.is_file() else None
    done: Patch | None = None if said is None else from_plain(Patch, json.loads(said))
    if done is None or not done.same_as(patch):
        what = "exists already" if done is None else f"is edited already, by {done.brief}"
        raise UserError(f"{file} {what}: choose another name")
    return True


def _opened(file: Path) -> GGUFReader:
    from gguf import GGUFReader

    return GGUFReader(file)


def _layer(tensor: Any) -> int:
    """Whose down projection it is; -1 for any other tensor."""
    match = DOWN.fullmatch(tensor.name)
    return int(match[1]) if match else -1


def _begin(writer: GGUFWriter, reader: GGUFReader, patch: Patch) -> None:
    """The metadata, but what the writer says itself."""
    from gguf import GGUFValueType, Keys

    writer.data_alignment = reader.alignment
    for field in reader.fields.values():
        if field.name not in (Keys.General.ARCHITECTURE, KEY) and not field.name.startswith("GGUF."):
            inner = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
    writer.add_string(KEY, json.dumps(to_plain(patch), ensure_ascii=False))


def _described(writer: GGUFWriter, tensor: Any, changes: bool) -> int:
    """Tells the writer what will come, of so many bytes."""
    if not changes:
        writer.add_tensor_info(
            tensor.name, tensor.data.shape, tensor.data.dtype, tensor.data.nbytes, tensor.tensor_type
        )
        return int(tensor.data.nbytes)
    kind = _kind(tensor)
    size = int(tensor.n_elements) * (4 if kind.name == "F32" else 2)
    writer.add_tensor_info(tensor.name, [int(n) for n in tensor.shape[::-1]], np.dtype(np.float32), size, kind)
    return size


def _kind(tensor: Any) -> GGMLQuantizationType:
    from gguf import GGMLQuantizationType

    own: GGMLQuantizationType = tensor.tensor_type
    return own if own.name in PLAIN else GGMLQuantizationType.F16


def _scaled(tensor: Any, neurons: Sequence[int], factors: Sequence[float], times: str) -> NDArray[Any]:
    """The matrix [hidden, neuron] with some columns scaled, as it is written."""
    from gguf.quants import dequantize, quantize

    weight = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    weight[:, neurons] *= np.array(factors, dtype=np.float32)
    kind = _kind(tensor)
    if not np.abs(weight).max() <= (np.finfo(np.float16 if kind.name == "F16" else np.float32).max):
        raise UserError(f"{tensor.name} times {times} is too large for {kind.name}: lower --alpha")
    return np.ascontiguousarray(quantize(weight, kind))
