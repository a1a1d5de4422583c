"""A GGUF file edited: what changes, what does not, and what is refused."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from gguf_files import write_gguf
from transformers import AutoModelForCausalLM, AutoTokenizer

from hneuro.cli import main
from hneuro.models.gguf import GgufCheckpoint
from hneuro.models.gguf_rewrite import edit_gguf, gguf_space
from hneuro.models.load import load
from hneuro.models.patch import Patch, apply_patch, read_patch, write_patch
from hneuro.models.rewrite import edit_checkpoint
from hneuro.models.spec import ModelSpec
from hneuro.records import UserError

IDS = torch.arange(5, 25)[None]


@pytest.fixture(scope="module", params=["F32", "Q8_0"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Any:
    file = tmp_path_factory.mktemp("gguf") / f"{request.param}.gguf"
    write_gguf(tiny_checkpoint, file, kind=request.param, extra={"tokenizer.ggml.eot_token_id": 4})
    return GgufCheckpoint(path=str(file))


def patch_of(source: GgufCheckpoint, gains: tuple[float, ...] = (0.3, 1.7, 0.0)) -> Patch:
    space = gguf_space(source)
    return Patch(
        neurons=(1, 3, space.size - 1), alpha=1.0, gains=gains, space=space, weights=source.identity(), note="by hand"
    )


def loaded(source: GgufCheckpoint) -> Any:
    return load(source, ModelSpec(name="tiny", chat=source, dtype="float32", device="cpu"))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def test_only_the_columns_of_the_neurons_change(source: GgufCheckpoint, tmp_path: Path) -> None:
    patch, out = patch_of(source), tmp_path / "edited.gguf"
    edit_gguf(source, out, patch)
    before, after = (GGUFReader(file) for file in (source.file(), out))
    assert [t.name for t in before.tensors] == [t.name for t in after.tensors]
    changed = {}
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert old.shape.tolist() == new.shape.tolist()
        if old.tensor_type == new.tensor_type and np.array_equal(old.data, new.data):
            continue
        own, own_new = (np.asarray(dequantize(t.data, t.tensor_type)) for t in (old, new))
        changed[new.name] = new.tensor_type.name, own, own_new
    last = f"blk.{patch.space.n_layers - 1}.ffn_down.weight"
    assert set(changed) == {"blk.0.ffn_down.weight", last}
    plain = "F32" if "F32" in source.path else "F16"
    for name, (kind, old_weight, new_weight) in changed.items():
        assert kind == plain
        expected = old_weight.copy()
        for layer, (indices, factors) in patch.of_layers().items():
            if name.startswith(f"blk.{layer}."):
                expected[:, indices] *= np.array(factors, dtype=np.float32)
        written = expected if plain == "F32" else expected.astype(np.float16).astype(np.float32)
        assert np.array_equal(new_weight, written)
    said = {name: field.contents() for name, field in after.fields.items() if not name.startswith("GGUF.")}
    assert json.loads(said.pop("hneuro.patch"))["note"] == "by hand"
    assert said == {name: field.contents() for name, field in before.fields.items() if not name.startswith("GGUF.")}


def test_it_is_the_model_that_the_patch_makes_up_to_rounding(source: GgufCheckpoint, tmp_path: Path) -> None:
    """As a file and as a folder, which anybody loads, with its tokenizer and chat template."""
    patch = patch_of(source)
    original, patched = loaded(source), loaded(source)
    apply_patch(patched, patch)
    edit_gguf(source, tmp_path / "edited.gguf", patch)
    edit_checkpoint(source, tmp_path / "edited", patch)
    expected = logits(patched.model)
    moved = (logits(original.model) - expected).abs().max()
    as_file = logits(loaded(GgufCheckpoint(path=str(tmp_path / "edited.gguf"))).model)
    assert (as_file - expected).abs().max() < 1e-2 * moved
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "edited")), expected)
    assert read_patch(tmp_path / "edited").identity == patch.identity
    asked = [{"role": "user", "content": "Who wrote Hamlet?"}]
    with source.alone() as where:
        own = AutoTokenizer.from_pretrained(**where)
    assert AutoTokenizer.from_pretrained(tmp_path / "edited").apply_chat_template(asked) == own.apply_chat_template(
        asked
    )
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "edited").generation_config.eos_token_id == [2, 4]


def test_from_the_command_line_twice(
    source: GgufCheckpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "edited.gguf"
    (tmp_path / "list.json").write_text("[[0, 1], [0, 3]]")
    words = ["edit", "--model", source.path, "--neurons", str(tmp_path / "list.json"), "--alpha", "0.5"]
    assert main([*words, "--out", str(out)]) == 0, capsys.readouterr().err
    told, made = capsys.readouterr().out, out.stat().st_mtime_ns
    assert "2 neurons times 0.5" in told
    assert main([*words, "--out", str(out)]) == 0
    assert out.stat().st_mtime_ns == made
    assert capsys.readouterr().out == told
    words[-1] = "0.25"
    assert main([*words, "--out", str(out)]) == 2
    assert "edited already, by 2 neurons times 0.5: choose another name" in capsys.readouterr().err
    assert sorted(file.name for file in out.parent.iterdir()) == ["edited.gguf"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "{folder}/model.gguf", "--model", "{folder}"], "is not a GGUF file: write the edit to a folder"),
        (["--out", "{folder}/config.json", "--model", "{gguf}"], "config.json exists already"),
        (["--out", "{gguf}", "--model", "{gguf}"], "exists already: choose another name"),
        (["--out", "{folder}/broken.gguf", "--model", "{folder}/nothing.gguf"], "there is no file"),
    ],
)
def test_one_clear_line(
    source: GgufCheckpoint,
    tiny_checkpoint: Path,
    tmp_path: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "list.json").write_text("[[0, 1]]")
    own = [word.format(folder=tiny_checkpoint, gguf=source.path) for word in words]
    assert main(["edit", "--neurons", str(tmp_path / "list.json"), "--alpha", "0.5", *own]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_patch_for_another_model_and_a_gain_that_is_too_large(source: GgufCheckpoint, tmp_path: Path) -> None:
    out = tmp_path / "edited.gguf"
    other = Patch(neurons=(1,), alpha=0.0, space=gguf_space(source), weights="another")
    with pytest.raises(UserError, match="was made for other weights"):
        edit_gguf(source, out, other)
    if "Q8_0" in source.path:
        with pytest.raises(UserError, match=r"ffn_down.weight times .* is too large for F16: lower --alpha"):
            edit_gguf(source, out, patch_of(source, (1e9, 1.0, 1.0)))
    assert list(tmp_path.iterdir()) == []
    for gain in (math.inf, math.nan, -1.0):
        with pytest.raises(UserError, match="gains must be finite"):
            patch_of(source, (gain, 1.0, 1.0))
    write_patch(patch_of(source), tmp_path / "patch.json")
    (tmp_path / "patch.json").write_text((tmp_path / "patch.json").read_text().replace("0.3", "NaN"))
    with pytest.raises(UserError, match="gains must be finite"):
        read_patch(tmp_path / "patch.json")
