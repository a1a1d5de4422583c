"""The models of the paper: each config loads tiny random checkpoints of that architecture, chat and base."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from hneuro.config import build, config_folder
from hneuro.contributions.extract import extract
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.origin.drift import distances, ranks_of

# config -> name in Table 1, and the layout that it is published in
PAPER = {
    "mistral_7b": ("Mistral-7B-v0.3", "mistral"),
    "mistral_small_24b": ("Mistral-Small-3.1-24B", "mistral3_multimodal"),
    "gemma3_4b": ("Gemma-3-4B", "gemma3_multimodal"),
    "gemma3_27b": ("Gemma-3-27B", "gemma3_multimodal"),
    "llama31_8b": ("Llama-3.1-8B", "llama"),
    "llama33_70b": ("Llama-3.3-70B", "llama"),
}

# What the templates of the hub do, in few words: where a system prompt goes, and what is written without one.
SYSTEM = "{% set system = messages[0]['content'] if messages[0]['role'] == 'system' else '' %}"
TURN = "<user>{{ messages[-1]['content'] }}<end><assistant>"
LLAMA = SYSTEM + "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
LLAMA += "{{ bos_token }}[cut-off December 2023, today {{ date_string }}]{{ system }}" + TURN
SMALL = SYSTEM + "{{ bos_token }}[{{ system or 'You are Mistral Small.' }}]" + TURN
IN_USER_TURN = SYSTEM + "{{ bos_token }}<user>{{ system }}{{ messages[-1]['content'] }}<end><assistant>"
TEMPLATES = {"llama31_8b": LLAMA, "llama33_70b": LLAMA, "mistral_small_24b": SMALL}
BEGINS = {
    "llama31_8b": "<bos>[cut-off December 2023, today 26 Jul 2024]<user>",
    "llama33_70b": "<bos>[cut-off December 2023, today 26 Jul 2024]<user>",
    "mistral_small_24b": "<bos>[You are Mistral Small.]<user>",
}


@pytest.mark.parametrize("config", PAPER)
def test_a_model_of_the_paper_is_measured_beside_its_base_twin(
    config: str, tokenizer: Any, layout: Callable[[str], Any], tmp_path: Path
) -> None:
    spec = build(yaml.safe_load((config_folder() / "model" / f"{config}.yaml").read_text()), "model")
    assert isinstance(spec, ModelSpec)
    assert spec.name == PAPER[config][0]
    assert spec.base is not None
    assert spec.base != spec.chat
    for role in ("chat", "base"):
        model = layout(PAPER[config][1]).to(torch.bfloat16)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        for weight in model.parameters() if role == "base" else ():
            weight.add_(0.05 * torch.randn_like(weight))  # every neuron has moved, each as far as it happens
        model.save_pretrained(tmp_path / role)
        own = copy.deepcopy(tokenizer)
        own.chat_template = TEMPLATES.get(config, IN_USER_TURN) if role == "chat" else None
        own.save_pretrained(tmp_path / role)
    here = {role: HubCheckpoint(path=str(tmp_path / role)) for role in ("chat", "base")}
    small = replace(spec, chat=here["chat"], base=here["base"], device="cpu")
    models = {role: LanguageModel(source, small, completion=role == "base") for role, source in here.items()}
    chat, base = models["chat"].loaded, models["base"].loaded
    space = chat.ffn.space
    assert (space.n_layers, space.width) == (3, 40)
    assert base.ffn.space == space
    assert chat.model.dtype == base.model.dtype == torch.bfloat16, "dtype=auto is the checkpoint's own"

    prompts = [models[role].prompt_ids("Where is Rome?") for role in ("chat", "base")]
    assert tokenizer.decode(prompts[0]).startswith(BEGINS.get(config, "<bos><user>"))
    for loaded, ids in zip((chat, base), prompts, strict=True):
        weights = np.zeros((1, len(ids)), dtype=np.float32)
        weights[0, -3:] = 1 / 3
        (cett,) = extract(loaded, [ids], [weights], 1024)
        assert cett.shape == (1, space.size)
        assert np.isfinite(cett).all()
        assert (cett.reshape(space.n_layers, -1).max(1) > 0).all()
    ranks = ranks_of(distances(chat.ffn, base.ffn))[0]
    assert ranks.shape == (space.size,)
    assert (ranks.min(), ranks.max()) == (0.0, 1.0)
