"""Every decoder layout that is supported, and some that are refused, at the size of a toy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers as hf

DENSE = (
    "llama", "llama_with_bias", "gemma3", "gemma3_multimodal", "mistral3_multimodal", "qwen3",
    "phi3", "gpt_neox", "gpt2", "opt", "falcon",
)  # fmt: skip
GATED_LAYOUTS = ("llama", "gemma3", "phi3")
EXPERTS = ("mixtral", "qwen3_moe", "gpt_oss")
RAGGED = (
    "qwen3_moe_first_layer_dense", "qwen2_moe", "qwen2_moe_square", "deepseek_v3",
    "ernie4_5_moe", "gemma3n",
)  # fmt: skip

PLAIN = {
    "vocab_size": 48,
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GATED = PLAIN | {"intermediate_size": 40, "num_key_value_heads": 2}
MOE = GATED | {"head_dim": 4, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
DEEPSEEK = (
    GATED
    | {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "n_shared_experts": 2}
    | {
        "num_key_value_heads": 4,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    }
)
LATENT = {"q_lora_rank": None, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4}
# A vision tower with as many layers as the decoder: nothing but its place tells them apart.
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2} | {
    "image_size": 28,
    "patch_size": 14,
}


def build(name: str) -> Any:
    """A random model of the layout, in float32."""
    torch.manual_seed(0)
    match name:
        case "llama":
            model = hf.LlamaForCausalLM(hf.LlamaConfig(**GATED))
        case "llama_with_bias":
            model = hf.LlamaForCausalLM(hf.LlamaConfig(**GATED, mlp_bias=True))
        case "gemma3":
            model = hf.Gemma3ForCausalLM(hf.Gemma3TextConfig(**GATED, head_dim=4, sliding_window=4))
        case "gemma3_multimodal":
            text = GATED | {"head_dim": 4, "sliding_window": 4}
            vision = VISION | {"model_type": "siglip_vision_model"}
            config = hf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
            model = hf.Gemma3ForConditionalGeneration(config)
        case "mistral3_multimodal":
            text = GATED | {"model_type": "mistral", "head_dim": 4}
            config = hf.Mistral3Config(
                text_config=text, vision_config=VISION | {"model_type": "pixtral", "head_dim": 8}
            )
            model = hf.Mistral3ForConditionalGeneration(config)
        case "qwen3":
            model = hf.Qwen3ForCausalLM(hf.Qwen3Config(**GATED, head_dim=4))
        case "phi3":
            model = hf.Phi3ForCausalLM(hf.Phi3Config(**GATED))
        case "gpt_neox":
            model = hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**PLAIN, intermediate_size=40))
        case "gpt2":
            sizes = {"n_embd": 16, "n_layer": 3, "n_head": 4, "n_positions": 64, "n_inner": 40}
            ends = {"bos_token_id": 1, "eos_token_id": 2}
            model = hf.GPT2LMHeadModel(hf.GPT2Config(vocab_size=48, initializer_range=0.2, **sizes, **ends))
        case "opt":
            config = hf.OPTConfig(**PLAIN, ffn_dim=40, word_embed_proj_dim=16, init_std=0.2)
            model = hf.OPTForCausalLM(config)
        case "falcon":
            model = hf.FalconForCausalLM(hf.FalconConfig(**PLAIN, ffn_hidden_size=40))
        case "lfm2":  # its convolutions remember in a form of their own
            layers = ["conv", "full_attention", "conv"]
            config = hf.Lfm2Config(**GATED, layer_types=layers, block_auto_adjust_ff_dim=False)
            model = hf.Lfm2ForCausalLM(config)
        case "mixtral":
            model = hf.MixtralForCausalLM(hf.MixtralConfig(**GATED, num_local_experts=4))
        case "qwen3_moe":
            model = hf.Qwen3MoeForCausalLM(hf.Qwen3MoeConfig(**MOE))
        case "qwen3_moe_first_layer_dense":
            model = hf.Qwen3MoeForCausalLM(hf.Qwen3MoeConfig(**MOE, mlp_only_layers=[0]))
        case "gpt_oss":
            model = hf.GptOssForCausalLM(hf.GptOssConfig(**GATED, head_dim=4, num_local_experts=4))
        case "qwen2_moe":
            model = hf.Qwen2MoeForCausalLM(hf.Qwen2MoeConfig(**MOE, shared_expert_intermediate_size=24))
        case "qwen2_moe_square":  # the shared expert is as wide as the model
            config = hf.Qwen2MoeConfig(**MOE, shared_expert_intermediate_size=16, mlp_only_layers=[1])
            model = hf.Qwen2MoeForCausalLM(config)
        case "deepseek_v3":
            model = hf.DeepseekV3ForCausalLM(hf.DeepseekV3Config(**DEEPSEEK, **LATENT))
        case "ernie4_5_moe":
            experts = {"moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 2, "moe_layer_start_index": 1}
            config = hf.Ernie4_5_MoeConfig(**GATED, **experts, moe_intermediate_size=8)
            model = hf.Ernie4_5_MoeForCausalLM(config)
        case "gemma3n":  # layers of different width, with smaller detours beside their FFNs
            beside = {"hidden_size_per_layer_input": 4, "vocab_size_per_layer_input": 48, "laurel_rank": 4}
            layers = {
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
                "num_kv_shared_layers": 0,
            }
            own = GATED | {"intermediate_size": [40, 24, 40], "activation_sparsity_pattern": [0.5, 0.0, 0.0]}
            model = hf.Gemma3nForCausalLM(hf.Gemma3nTextConfig(**own, **beside, **layers, head_dim=4, sliding_window=4))
        case "granite_moe_shared":
            config = hf.GraniteMoeSharedConfig(
                **GATED, num_local_experts=4, num_experts_per_tok=2, shared_intermediate_size=24
            )
            model = hf.GraniteMoeSharedForCausalLM(config)
        case "llama4":
            config = hf.Llama4TextConfig(**GATED, head_dim=4, num_local_experts=4, intermediate_size_mlp=24)
            model = hf.Llama4ForCausalLM(config)
        case _:
            raise KeyError(name)
    return model.eval().requires_grad_(False)


@pytest.fixture(params=DENSE)
def dense(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


@pytest.fixture(params=(*DENSE, "lfm2"))
def generating(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


@pytest.fixture(params=GATED_LAYOUTS)
def gated(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


@pytest.fixture(params=(*EXPERTS, *RAGGED))
def mixture(request: pytest.FixtureRequest) -> Any:
    """Experts, alone or with others beside them; layers that differ; biases that are not 0 where there are any."""
    model = build(request.param)
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            weight.normal_(std=0.2)
    return model


@pytest.fixture
def layout() -> Callable[[str], Any]:
    """Builds any of them by name."""
    return build


@pytest.fixture
def mistral3() -> Any:
    return build("mistral3_multimodal")
