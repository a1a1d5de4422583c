"""The residual stream in batches against a loop over sequences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import LlamaConfig, LlamaForCausalLM

from hneuro.contributions.extract import residual
from hneuro.models.ffn import find_ffn
from hneuro.models.load import Loaded


@pytest.mark.parametrize("token_budget", [4, 80, 10_000])
def test_equals_a_loop_in_any_batch(token_budget: int) -> None:
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=64, initializer_range=0.3, **sizes)).eval()
    draw = np.random.default_rng(0)
    ids = [draw.integers(1, 64, size=n).tolist() for n in (9, 4, 17, 6)]
    weights = [draw.dirichlet(np.ones(len(s))).astype(np.float32) * (draw.random(len(s)) > 0.5) for s in ids]
    found = residual(Loaded(model, find_ffn(model)), ids, [w.astype(np.float32) for w in weights], token_budget)
    for n, (sequence, weight) in enumerate(zip(ids, weights, strict=True)):
        np.testing.assert_allclose(found[n], naive(model, sequence, weight), rtol=1e-4, atol=1e-5)


def naive(model: LlamaForCausalLM, sequence: list[int], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """[layer, hidden]: what each layer hands on, the last behind the norm."""
    seen: list[torch.Tensor] = []
    handles = [layer.register_forward_hook(lambda _, __, out: seen.append(out)) for layer in model.model.layers]
    with torch.inference_mode():
        last = model.model(input_ids=torch.tensor([sequence]), use_cache=False).last_hidden_state
    for handle in handles:
        handle.remove()
    states = [(s[0] if isinstance(s, tuple) else s) for s in seen[:-1]] + [last]
    return np.stack([(torch.from_numpy(weight)[:, None] * s[0]).sum(0).numpy() for s in states])
