"""Bases and checkpoints that cannot be compared: one line that names the key, before anything is sampled."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from hneuro.cli import main

PART = "{_target_:hneuro.models.sources.HubCheckpoint,path:%s}"


def llama(folder: Path, tokenizer: Path, layers: int = 3, width: int = 64) -> Path:
    """A checkpoint of the tiny one's kind, in another shape, with its tokenizer."""
    words = AutoTokenizer.from_pretrained(tokenizer)
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=width, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def another_vocabulary(folder: Path, checkpoint: Path) -> Path:
    shutil.copytree(checkpoint, folder)
    words = AutoTokenizer.from_pretrained(checkpoint)
    words.add_tokens(["hallucination"])
    words.save_pretrained(folder)
    return folder


def as_base(path: Path) -> list[str]:
    return [f"model.base={PART % path}"]


def as_checkpoint(path: Path, base: Path) -> list[str]:
    return [f"model.base={PART % base}", f"+model.checkpoints.early={PART % path}"]


CASES: dict[str, tuple[Callable[[Path, Path], list[str]], tuple[str, ...]]] = {
    "a base of another width": (
        lambda f, c: as_base(llama(f / "wide", c, width=48)),
        ("model.base", "wide has 3 layers of 48 FFN neurons", "chat model", "has 3 layers of 64", "was trained from"),
    ),
    "a checkpoint of another shape": (
        lambda f, c: as_checkpoint(llama(f / "short", c, layers=2), c),
        ("model.checkpoints.early", "short has 2 layers"),
    ),
    "a checkpoint with another vocabulary": (
        lambda f, c: as_checkpoint(another_vocabulary(f / "other", c), c),
        ("model.checkpoints.early", "other has another vocabulary than the base model", "of the same training"),
    ),
    "checkpoints without a base": (
        lambda _, c: [f"+model.checkpoints.early={PART % c}"],
        ("model: checkpoints read the base model's answers", "name the base model too"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_line_before_anything_is_sampled(
    name: str,
    tmp_path: Path,
    tiny_checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"question": f"What is number {n}?", "answers": [str(n)], "id": n} for n in range(12)]
    Path("q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare, says = CASES[name]
    words = ["model=hub", "model.name=tiny", f"model.chat.path={tiny_checkpoint}", "benchmark=none", "quiet=true"]
    words += ["dataset=file", "dataset.identification.path=q.jsonl", *prepare(tmp_path, tiny_checkpoint)]
    assert main(["run", *words]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    for part in says:
        assert part in line
    assert not (tmp_path / "outputs" / "store" / "responses").exists()
