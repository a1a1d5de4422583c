"""Checkpoints are loaded by the ordinary path, complete and proven, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hneuro.models.load import load, load_tokenizer
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec, pick_device
from hneuro.neurons import NeuronSpace
from hneuro.records import UserError


def cpu(path: Path, **options: Any) -> ModelSpec:
    return ModelSpec(
        name="tiny", chat=HubCheckpoint(path=str(path)), **({"dtype": "float32", "device": "cpu"} | options)
    )


def copy_of(checkpoint: Path, folder: Path) -> Path:
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def refusal(path: Path, **options: Any) -> str:
    spec = cpu(path, **options)
    with pytest.raises(UserError) as fault:
        load(spec.chat, spec)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_decoding_settings_of_the_checkpoint_are_not_followed(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """A repetition penalty in generation_config.json would bend every sampled distribution; its end ids are kept."""
    folder = copy_of(tiny_checkpoint, tmp_path)
    settings = {"repetition_penalty": 1.3, "do_sample": True, "temperature": 0.1, "eos_token_id": [2, 4]}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    config = load(cpu(folder).chat, cpu(folder)).model.generation_config
    assert (config.repetition_penalty, config.do_sample, config.temperature) == (None, None, None)
    assert config.eos_token_id == [2, 4]


def test_loads_a_multimodal_wrapper_that_causal_lm_does_not_know(mistral3: Any, tmp_path: Path) -> None:
    """Mistral Small 3.1, a model of the paper, is published only with its vision tower."""
    mistral3.save_pretrained(tmp_path)
    loaded = load(cpu(tmp_path).chat, cpu(tmp_path))
    assert type(loaded.model).__name__ == "Mistral3ForConditionalGeneration"
    assert loaded.ffn.space == NeuronSpace(n_layers=3, width=40)


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path)
    assert "cannot load no/such-model" in refusal(Path("no/such-model"))


DOWN = "model.layers.1.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("gone", f"lacks the weights {DOWN}"),
        ("torn", "cannot load"),
        ("shape", "files may be damaged, or not belong together"),
        ("lm_head.weight", "computes NaN or infinity: its weights are damaged"),
    ],
)
def test_refuses_weights_that_are_not_whole(harm: str, said: str, tiny_checkpoint: Path, tmp_path: Path) -> None:
    file = copy_of(tiny_checkpoint, tmp_path) / "model.safetensors"
    weights = load_file(file)
    if harm in weights:
        weights[harm][7] = float("nan")
    elif harm == "gone":
        del weights[DOWN]
    elif harm == "shape":
        weights[DOWN] = torch.zeros(3, 5)
    save_file(weights, file, metadata={"format": "pt"})
    if harm == "torn":
        file.write_bytes(file.read_bytes()[:1000])
    assert said in refusal(tmp_path)


def test_refuses_a_config_with_fewer_layers_than_weights(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_checkpoint, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 2}))
    assert "holds weights that its config.json leaves out, such as model.layers.2." in refusal(folder)


def test_code_of_a_checkpoint_is_not_run_and_not_asked_about(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: "y")  # what is asked at a terminal is soon agreed to
    folder = copy_of(tiny_checkpoint, tmp_path)
    config = json.loads((folder / "config.json").read_text()) | {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.C"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert "custom code" in refusal(folder)
    assert not (tmp_path / "ran").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_refuses_cuda_where_there_is_none(tiny_checkpoint: Path) -> None:
    assert pick_device("auto") in ("cpu", "mps")
    assert "model.device=cuda" in refusal(tiny_checkpoint, device="cuda")


def test_a_tokenizer_without_padding_pads_with_its_end(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_checkpoint, tmp_path)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in settings.items() if k != "pad_token"}))
    tokenizer = load_tokenizer(HubCheckpoint(path=str(folder)))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_the_head_reads_what_is_cut_out_of_a_batch_in_one_piece(tiny_checkpoint: Path) -> None:
    """torch copies W for every row of an input with gaps, in bfloat16: 50 GB for 160 rows of Gemma-3-270M."""
    spec, contiguous = cpu(tiny_checkpoint, dtype="bfloat16"), list[bool]()
    model = load(spec.chat, spec).model
    model.lm_head.register_forward_pre_hook(lambda _, inputs: contiguous.append(inputs[0].is_contiguous()))
    model(input_ids=torch.arange(40).reshape(4, 10), logits_to_keep=2)
    assert contiguous == [True]
