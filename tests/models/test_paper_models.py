"""The models of the paper: each config loads tiny random checkpoints of exactly that architecture, chat and base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import PreTrainedTokenizerFast

from hneuro.config import build, config_folder
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec

# config -> (layout that the hub's checkpoint has, name in Table 1)
PAPER = {
    "mistral_7b": ("mistral", "Mistral-7B-v0.3"),
    "mistral_small_24b": ("mistral3_multimodal", "Mistral-Small-3.1-24B"),
    "gemma3_4b": ("gemma3_multimodal", "Gemma-3-4B"),
    "gemma3_27b": ("gemma3_multimodal", "Gemma-3-27B"),
    "llama31_8b": ("llama", "Llama-3.1-8B"),
    "llama33_70b": ("llama", "Llama-3.3-70B"),
}


@pytest.mark.parametrize("config", PAPER)
def test_a_model_of_the_paper_loads_with_its_base_twin(
    config: str, layout: Callable[[str], Any], tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    spec = build(yaml.safe_load((config_folder() / "model" / f"{config}.yaml").read_text()), "model")
    assert isinstance(spec, ModelSpec)
    kind, name = PAPER[config]
    assert spec.name == name
    assert spec.base is not None
    assert spec.base != spec.chat
    layout(kind).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    here = HubCheckpoint(path=str(tmp_path))
    tiny = replace(spec, chat=here, base=here, device="cpu")
    for model in (LanguageModel(here, tiny, completion=False), LanguageModel(here, tiny, completion=True)):
        space = model.loaded.ffn.space
        assert (space.n_layers, space.size) == (3, 3 * 40)
        assert model.loaded.model.dtype == layout(kind).dtype, "dtype=auto is the checkpoint's own"
