"""The models of the paper: each config loads tiny random checkpoints of exactly that architecture, chat and base."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf

from hneuro.config import build, model_node
from hneuro.contributions.extract import extract
from hneuro.models.language_model import LanguageModel
from hneuro.models.sources import HubCheckpoint
from hneuro.models.spec import ModelSpec
from hneuro.origin.drift import distances, ranks_of

# config -> name in Table 1
PAPER = {
    "mistral_7b": "Mistral-7B-v0.3",
    "mistral_small_24b": "Mistral-Small-3.1-24B",
    "gemma3_4b": "Gemma-3-4B",
    "gemma3_27b": "Gemma-3-27B",
    "llama31_8b": "Llama-3.1-8B",
    "llama33_70b": "Llama-3.3-70B",
}
SIZES = {"hidden_size": 16, "intermediate_size": 40, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2} | {
    "image_size": 28,
    "patch_size": 14,
}
LLAMA3 = {"rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}

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


def tiny(config: str, vocab_size: int, seed: int) -> Any:
    """As the architecture is published, at the size of a toy, in bfloat16."""
    torch.manual_seed(seed)
    text = {"vocab_size": vocab_size, "initializer_range": 0.2, "max_position_embeddings": 256, **SIZES, **IDS}
    model: Any
    match config:
        case "mistral_7b":  # v0.3 has no sliding window any more
            model = hf.MistralForCausalLM(hf.MistralConfig(**text, num_hidden_layers=3, sliding_window=None))
        case "mistral_small_24b":
            decoder = text | {"model_type": "mistral", "num_hidden_layers": 3, "sliding_window": None}
            vision = VISION | {"model_type": "pixtral", "head_dim": 8}
            model = hf.Mistral3ForConditionalGeneration(hf.Mistral3Config(text_config=decoder, vision_config=vision))
        case "gemma3_4b" | "gemma3_27b":  # five layers that see a window, then one that sees all
            layers = 7 if config == "gemma3_4b" else 8  # the last ones have no full layer behind them, as in 34 and 62
            kinds = ["full_attention" if n % 6 == 5 else "sliding_attention" for n in range(layers)]
            scale = 8 if config == "gemma3_4b" else 4  # 27B: hidden size by heads, not the size of a head
            decoder = text | {"num_hidden_layers": layers, "layer_types": kinds, "sliding_window": 4}
            wrapper = hf.Gemma3Config(
                text_config=decoder | {"query_pre_attn_scalar": scale},
                vision_config=VISION | {"model_type": "siglip_vision_model"},
                mm_tokens_per_image=4,
            )
            model = hf.Gemma3ForConditionalGeneration(wrapper)
        case _:  # Llama 3.1 and 3.3 stretch their positions; 70B has eight query heads for each of its key heads
            rope = LLAMA3 | {"original_max_position_embeddings": 32}
            layers = 3 if config == "llama31_8b" else 4
            heads = {} if config == "llama31_8b" else {"num_attention_heads": 8, "num_key_value_heads": 1}
            model = hf.LlamaForCausalLM(hf.LlamaConfig(**text | heads, num_hidden_layers=layers, rope_parameters=rope))
    return model.to(torch.bfloat16)


# Gemma 3 27B and Llama 3.1 8B differ from these in sizes alone.
@pytest.mark.parametrize("config", ["mistral_7b", "mistral_small_24b", "gemma3_4b", "llama33_70b"])
def test_a_model_of_the_paper_is_measured_beside_its_base_twin(config: str, tokenizer: Any, tmp_path: Path) -> None:
    spec = build(model_node([f"model={config}"]), "model")
    assert isinstance(spec, ModelSpec)
    assert spec.name == PAPER[config]
    assert spec.base is not None
    assert spec.base != spec.chat
    made, models = {}, {}
    for seed, role in enumerate(("chat", "base")):
        made[role] = tiny(config, len(tokenizer), seed)
        made[role].save_pretrained(tmp_path / role)
        own = copy.deepcopy(tokenizer)
        own.chat_template = TEMPLATES.get(config, IN_USER_TURN) if role == "chat" else None
        own.save_pretrained(tmp_path / role)
    here = {role: HubCheckpoint(path=str(tmp_path / role)) for role in made}
    small = replace(spec, chat=here["chat"], base=here["base"], device="cpu")
    for role, source in here.items():
        models[role] = LanguageModel(source, small, completion=role == "base")
    chat, base = models["chat"].loaded, models["base"].loaded
    text = made["chat"].config.get_text_config()
    space = chat.ffn.space
    assert (space.n_layers, space.width) == (text.num_hidden_layers, 40)
    assert base.ffn.space == space
    assert chat.model.dtype == base.model.dtype == torch.bfloat16, "dtype=auto is the checkpoint's own"
    if config.startswith("llama"):
        assert chat.model.config.rope_parameters["rope_type"] == "llama3"
    if config.startswith("gemma3"):
        assert set(chat.model.config.get_text_config().layer_types) == {"full_attention", "sliding_attention"}
    else:
        assert getattr(text, "sliding_window", None) is None

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
