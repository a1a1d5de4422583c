"""A checkpoint edited in its files: the columns of some neurons scaled, in a copy.

Loaded in the precision of its files, the edited model is the model under the hook that scales the neurons: bit by bit
where alpha is 0 or a power of two, else up to rounding, since the hook rounds alpha z and the edit alpha W. Measured
with 20 neurons a layer, on a trained Llama of 4 layers and a random one of 8: logits differ in the median by 8e-7
(float32), 0.002 (float16) and 0.016 (bfloat16), where the edit moves them by 0.15 to 0.6.

No model is loaded, except from a GGUF file: memory is needed for one tensor, and on the disk for the copy. The edit
stays in the copy as a patch (`hneuro.models.patch`), in a folder where no loader looks.
"""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hneuro.disk import check_room, sync, write_text, writing
from hneuro.models.files import NotPlain, StoredFFN, StoredMatrix, stored_ffn, tensor_files
from hneuro.models.gguf import GgufSource
from hneuro.models.gguf_rewrite import gguf_space
from hneuro.models.load import load, load_tokenizer
from hneuro.models.patch import PATCH, TRACES, Patch, apply_patch, check_fits, read_patch, write_patch
from hneuro.models.sources import INDEX, CheckpointSource
from hneuro.models.spec import ModelSpec
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError

CARD = "README.md"
# Weights in whatever form: those that transformers does not read are not copied, since they would not be edited.
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx", ".index.json")
# How a tensor is kept: the integers that stand for its bits, and what they are.
BITS: dict[str, tuple[Any, torch.dtype]] = {
    "F64": (np.int64, torch.float64),
    "F32": (np.int32, torch.float32),
    "F16": (np.int16, torch.float16),
    "BF16": (np.int16, torch.bfloat16),
}


def edit_checkpoint(source: CheckpointSource, out: Path, patch: Patch, card: str = "") -> None:
    """Writes the checkpoint with the patch applied to `out`, an empty folder or none, with `card` as its model card.

    It appears at once: what was killed is begun again. `UserError` where the files do not allow it, see `stored_ffn`. A
    GGUF file is loaded, and becomes a folder in float32.
    """
    check_free(out)
    check_fits(patch, neurons_of(source), source.identity(), source.locate())
    out = out.absolute()
    partial = out.with_name(f".{out.name}.hneuro-partial")
    with writing("the edited checkpoint", out.parent, instead="another --out"):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            if isinstance(source, GgufSource):
                _unpack(source, partial, patch)
            else:
                _copy(source, partial, patch)
            (partial / TRACES).mkdir()
            write_patch(patch, partial / PATCH)
            if card:
                write_card(partial, card)
            partial.replace(out)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


def neurons_of(source: CheckpointSource) -> NeuronSpace:
    """Of a checkpoint that can be edited; `UserError` for any other."""
    return gguf_space(source) if isinstance(source, GgufSource) else editable(source).space


def done_by(folder: Path, patch: Patch) -> bool:
    """Whether a folder was made by a patch that does the same; `UserError` where it was another."""
    if not (folder / PATCH).is_file():
        return False
    if not (done := read_patch(folder)).same_as(patch):
        raise UserError(f"{folder} is edited already, by {done.brief}: choose another folder")
    return True


def check_free(out: Path) -> None:
    """`UserError` where something is already."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} exists already and is not empty: remove it, or choose another folder")


def write_card(folder: Path, card: str) -> None:
    write_text(folder / CARD, card)


def editable(source: CheckpointSource) -> StoredFFN:
    """Where the weights are in the files; `UserError` where they are quantised, or not there as plain tensors."""
    try:
        stored = stored_ffn(source)
    except NotPlain as fault:
        raise UserError(f"{source.locate()} cannot be edited in its files: {fault}") from fault
    if inside := next((layer.down.file for layer in stored.layers if layer.down.file.parent != source.files()), None):
        raise UserError(f"{source.locate()} cannot be edited in its files: {inside} lies in a folder of its own")
    return stored


def _to_copy(folder: Path) -> list[Path]:
    """The files of a checkpoint, without weights in other forms and without its card, which is about another model."""
    used = {*tensor_files(folder).values(), folder / INDEX}
    left = (CARD, *WEIGHTS)
    return [f for f in sorted(folder.iterdir()) if f.is_file() and (f in used or not f.name.endswith(left))]


def _copy(source: CheckpointSource, folder: Path, patch: Patch) -> None:
    copied = _to_copy(source.files())
    check_room("the edited checkpoint", folder.parent, sum(file.stat().st_size for file in copied))
    for file in copied:
        shutil.copyfile(file, folder / file.name)
    _scale(folder, editable(source), patch)


def _unpack(source: GgufSource, folder: Path, patch: Patch) -> None:
    loaded = load(source, ModelSpec(name="", chat=source, dtype="float32", device="cpu"))
    apply_patch(loaded, patch)
    check_room("the edited checkpoint", folder.parent, 4 * loaded.model.num_parameters())
    loaded.model.save_pretrained(folder)
    load_tokenizer(source).save_pretrained(folder)


def _scale(folder: Path, stored: StoredFFN, patch: Patch) -> None:
    """Scales the columns in the precision of the file, and waits until they are on the disk."""
    written = set()
    for layer, (indices, factors) in patch.of_layers().items():
        down = stored.layers[layer].down
        columns, dtype = _mapped(folder / down.file.name, down)
        by = torch.tensor(factors, dtype=torch.promote_types(dtype, torch.float32))
        scaled = (torch.from_numpy(columns[:, indices]).view(dtype) * by).to(dtype)
        if not scaled.isfinite().all():
            raise UserError(f"{down.name} times {patch.times} is too large for its {scaled.dtype}: lower --alpha")
        columns[:, indices] = scaled.view(torch.from_numpy(columns[:0].copy()).dtype).numpy()
        written.add(folder / down.file.name)
    for file in written:
        sync(file)


def _mapped(file: Path, matrix: StoredMatrix) -> tuple[np.memmap[Any, Any], torch.dtype]:
    """A writable map [hidden, neuron] of the bits of a matrix in a safetensors file, and the type they stand for."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        entry = json.loads(opened.read(length))[matrix.name]
    bits, dtype = BITS[entry["dtype"]]
    start, shape = 8 + length + entry["data_offsets"][0], tuple(entry["shape"])
    mapped: np.memmap[Any, Any] = np.memmap(file, dtype=bits, mode="r+", offset=start, shape=shape)
    return (mapped.T if matrix.by_input else mapped), dtype
