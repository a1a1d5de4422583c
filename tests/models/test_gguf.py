"""A GGUF file is loaded as the model that it was written from, and what cannot be loaded is said at once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from gguf_files import write_gguf
from transformers import LlamaForCausalLM

from hneuro.cli import main
from hneuro.models.ffn import find_ffn
from hneuro.models.files import NotPlain, stored_ffn
from hneuro.models.gguf import GgufCheckpoint
from hneuro.models.language_model import LanguageModel
from hneuro.models.load import empty_model
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.models.weights import is_quantised
from hneuro.pipeline.reading import _precision

IDS = torch.arange(5, 25)[None]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Path:
    """A folder with the tiny model as GGUF files."""
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(tiny_checkpoint, folder / "tiny.gguf")
    write_gguf(tiny_checkpoint, folder / "tiny.Q8_0.gguf", kind="Q8_0", extra={"tokenizer.ggml.eot_token_id": 4})
    write_gguf(tiny_checkpoint, folder / "base.gguf", template=False)
    write_gguf(tiny_checkpoint, folder / "rwkv.gguf", architecture="rwkv6")
    write_gguf(tiny_checkpoint, folder / "split.gguf", extra={"split.count": 3})
    return folder


def model_of(file: Path, **options: Any) -> LanguageModel:
    source = GgufCheckpoint(path=str(file))
    spec = ModelSpec(name="tiny", chat=source, **{"dtype": "float32", "device": "cpu", **options})
    return LanguageModel(source, spec, completion=False)


@pytest.fixture(scope="module")
def tiny(files: Path) -> LanguageModel:
    return model_of(files / "tiny.gguf")


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS).logits
    return found


def test_the_model_is_the_one_that_it_was_written_from(tiny: LanguageModel, language_model: LanguageModel) -> None:
    assert torch.equal(logits(tiny.loaded.model), logits(language_model.loaded.model))
    assert tiny.loaded.ffn.space == language_model.loaded.ffn.space
    question = "Who wrote Hamlet? Äh, 2 + 2?"
    assert tiny.prompt_ids(question) == language_model.prompt_ids(question)
    assert tiny.text_of(tiny.prompt_ids(question)) == language_model.text_of(language_model.prompt_ids(question))
    assert tiny.tokenizer.name_or_path.endswith("tiny.gguf")
    assert tiny.special_ids >= language_model.special_ids  # transformers adds GPT-2's own mark


def test_blocks_of_eight_bits_are_plain_numbers_once_loaded(files: Path, tiny_checkpoint: Path) -> None:
    """Each matrix is what ggml's own reference makes of its blocks, and nothing says any more that it was quantised."""
    loaded = model_of(files / "tiny.Q8_0.gguf").loaded
    original = LlamaForCausalLM.from_pretrained(tiny_checkpoint)
    for own, written in zip(loaded.ffn.layers, find_ffn(original).layers, strict=True):
        blocks = quantize(written.module.weight.detach().numpy(), GGMLQuantizationType.Q8_0)  # type: ignore[union-attr]
        expected = torch.from_numpy(dequantize(blocks, GGMLQuantizationType.Q8_0))
        assert torch.equal(own.module.weight, expected)  # type: ignore[union-attr]
        assert not torch.equal(own.module.weight, written.module.weight)  # type: ignore[union-attr]
        assert not is_quantised(own.module)  # type: ignore[union-attr]
    assert loaded.model.hf_quantizer is None
    assert model_of(files / "tiny.Q8_0.gguf", dtype="bfloat16").loaded.dtype == torch.bfloat16
    assert not hasattr(loaded.model.config, "quantization_config")


def test_what_ends_a_turn(files: Path, tiny: LanguageModel, tiny_checkpoint: Path, tmp_path: Path) -> None:
    """The end of text of model and tokenizer, and the end of turn that a file names."""
    assert tiny.loaded.model.generation_config.eos_token_id == [2]
    assert model_of(files / "tiny.Q8_0.gguf").loaded.model.generation_config.eos_token_id == [2, 4]
    for file in tiny_checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": 4}))
    source = HubCheckpoint(path=str(tmp_path))
    spec = ModelSpec(name="tiny", chat=source, dtype="float32", device="cpu")
    model = LanguageModel(source, spec, completion=False)
    assert model.loaded.model.generation_config.eos_token_id == [2, 4]


def test_its_identity_is_its_content(files: Path, tmp_path: Path) -> None:
    copy = tmp_path / "named otherwise.gguf"
    copy.write_bytes((files / "tiny.gguf").read_bytes())
    identity = GgufCheckpoint(path=str(copy)).identity()
    assert identity == GgufCheckpoint(path=str(files / "tiny.gguf")).identity()
    assert identity == hashlib.sha256(copy.read_bytes()).hexdigest()
    with copy.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    os.utime(copy, ns=(1, 1))
    assert GgufCheckpoint(path=str(copy)).identity() != identity


def test_nothing_else_in_its_folder_is_read(files: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes((files / "base.gguf").read_bytes())
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes((tiny_checkpoint / name).read_bytes())
    assert model_of(tmp_path / "m.gguf").tokenizer.chat_template is None


def test_its_structure_and_its_size_are_known_without_its_weights(files: Path, tiny: LanguageModel) -> None:
    source = GgufCheckpoint(path=str(files / "tiny.Q8_0.gguf"))
    model = empty_model(source)
    assert find_ffn(model).space == tiny.loaded.ffn.space
    assert {p.device.type for p in model.parameters()} == {"meta"}
    with pytest.raises(NotPlain, match="is a GGUF file"):
        stored_ffn(source)


@pytest.mark.parametrize(("name", "said"), [("tiny", "F32"), ("tiny.Q8_0", "Q8_0")])
def test_what_the_weights_went_through(files: Path, name: str, said: str) -> None:
    source = GgufCheckpoint(path=str(files / f"{name}.gguf"))
    assert source.quantisation() == said
    header = source.header()
    assert header is not None
    unnamed = replace(header, values={k: v for k, v in header.values.items() if k != "general.file_type"})
    assert unnamed.quantisation == said
    spec = ModelSpec(name="tiny", chat=source, dtype="float32")
    run = SimpleNamespace(experiment=SimpleNamespace(model=spec))
    assert _precision(run) == f"float32, dequantised from GGUF {said}"  # type: ignore[arg-type]


Prepare = Callable[[Path, Path], list[str]]  # (folder, GGUF files) -> overrides


def file(content: Callable[[bytes], bytes], name: str = "m.gguf") -> Prepare:
    """The tiny file with its content changed."""

    def prepare(folder: Path, files: Path) -> list[str]:
        (folder / name).write_bytes(content((files / "tiny.gguf").read_bytes()))
        return ["model=gguf", f"model.chat.path={name}"]

    return prepare


def ready(name: str, *words: str) -> Prepare:
    return lambda _, files: ["model=gguf", f"model.chat.path={files}/{name}", *words]


def alone(folder: Path, files: Path) -> list[str]:
    (folder / "one").mkdir()
    (folder / "one" / "m.gguf").write_bytes((files / "tiny.gguf").read_bytes())
    return ["model=gguf", "model.chat.path=one"]


BAD: dict[str, tuple[Prepare, str]] = {
    "no magic": (file(lambda b: b"PK" + b[2:]), "m.gguf is not a GGUF file"),
    "cut in its header": (file(lambda b: b[:900]), "m.gguf is truncated or damaged: its header"),
    "cut in its weights": (file(lambda b: b[:-100]), "m.gguf is truncated: it has"),
    "a split file by its header": (ready("split.gguf"), "is one of several files"),
    "another architecture": (ready("rwkv.gguf"), "cannot convert the architecture rwkv6; it can bloom, "),
    "a folder of one": (alone, "model.chat.path=one/m.gguf"),
    "no chat template": (ready("base.gguf"), "has no chat template: use an instruction-tuned checkpoint"),
    "as a hub checkpoint": (
        lambda *_: ["model=hub", "model.name=m", "model.chat.path=x.gguf"],
        "x.gguf is a GGUF file: choose model=gguf",
    ),
    "its folder as a hub checkpoint": (
        lambda *words: ["model=hub", "model.name=m", *alone(*words)[1:]],
        "choose model=gguf model.chat.path=one/m.gguf",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_one_clear_line_and_exit_code_2(
    name: str, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, said = BAD[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.jsonl").write_text("".join(f'{{"question": "What is {n}?", "answers": "{n}"}}\n' for n in range(12)))
    words = ["dataset=file", "dataset.identification.path=q.jsonl", "benchmark=none", "quiet=true"]
    assert main(["run", *words, *prepare(tmp_path, files)]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert error.startswith("error: ")
    assert said in error
