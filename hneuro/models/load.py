"""Loads a checkpoint by the ordinary Hugging Face path, finds its FFN neurons and proves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from hneuro.models.ffn import FFN, find_ffn
from hneuro.models.hooks import gains, observe, scale
from hneuro.models.sources import CheckpointSource
from hneuro.models.spec import ModelSpec, pick_device
from hneuro.records import UserError


@dataclass(frozen=True)
class Loaded:
    """The weights of a model in memory, ready to be measured."""

    model: Any
    ffn: FFN

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    @property
    def dtype(self) -> torch.dtype:
        return self.ffn.layers[0].weight.dtype


def load_tokenizer(source: CheckpointSource) -> Any:
    tokenizer = _from_pretrained(AutoTokenizer, source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load(source: CheckpointSource, spec: ModelSpec) -> Loaded:
    """The checkpoint on its device, without gradients; `UserError` if its FFN neurons cannot be found or proven."""
    model = _from_pretrained(AutoModelForCausalLM, source, dtype=spec.dtype, attn_implementation=spec.attention)
    model.eval().requires_grad_(False).to(pick_device(spec.device))
    # Decoding is ours to state in full; only the ids that end a turn come from the checkpoint.
    model.generation_config = GenerationConfig(
        eos_token_id=model.generation_config.eos_token_id,
        pad_token_id=model.generation_config.pad_token_id,
        bos_token_id=model.generation_config.bos_token_id,
    )
    ffn = find_ffn(model)
    prove(model, ffn)
    return Loaded(model, ffn)


@torch.no_grad()
def prove(model: Any, ffn: FFN) -> None:
    """A forward pass over eight tokens: every projection gets z of its width, gives W z + b, and matters for the logits.

    Raises `UserError` when one does not, so that a layout which only looks right cannot pass.
    """
    kind = type(model).__name__
    tokens = torch.arange(1, 9, device=model.device)[None]
    seen: dict[int, tuple[Tensor, Tensor]] = {}

    def read(layer: int, z: Tensor, h: Tensor) -> None:
        seen[layer] = (z.clone(), h.clone())

    with observe(ffn, read):
        plain = model(input_ids=tokens, use_cache=False).logits
    for n, projection in enumerate(ffn.layers):
        if n not in seen or seen[n][0].shape != (1, 8, projection.width):
            raise UserError(f"layer {n} of {kind} does not run its FFN as one projection of z: not supported")
        z, h = seen[n]
        weight = projection.weight.T if projection.neurons_first else projection.weight
        expected = torch.nn.functional.linear(z, weight, getattr(projection.module, "bias", None))
        if not torch.allclose(expected.float(), h.float(), rtol=1e-2, atol=1e-3):
            raise UserError(f"layer {n} of {kind} does not compute h = W_down z: not supported")
    last = range(ffn.space.size - ffn.space.width, ffn.space.size)
    with scale(ffn, gains(ffn.space, [(last, 0.0)], model.device, seen[0][0].dtype)):
        changed = model(input_ids=tokens, use_cache=False).logits
    if torch.equal(plain, changed):
        raise UserError(f"silencing the last FFN of {kind} does not move its logits: the wrong module was found")


def _from_pretrained(auto: Any, source: CheckpointSource, **options: Any) -> Any:
    """`from_pretrained`, with one clear line for what usually goes wrong."""
    where = source.locate()
    try:
        return auto.from_pretrained(where, revision=getattr(source, "revision", None) or "main", **options)
    except (OSError, ValueError) as fault:
        reason = str(fault).strip().splitlines()[0]
        raise UserError(f"cannot load {where}: {reason} (the path may also be a local folder)") from fault
