"""Neurons built into a tiny random Llama by weight surgery: active exactly where an answer is not known.

A token in the question says whether the answer is known ("K") or not ("U"); it differs in nothing else. Four neurons
are active exactly after "U", and push towards "Yes" against "No". After "Z", a request, the model says nothing but
"Y" or "N". Nothing else in the model reads or writes the six directions of the residual stream that this takes.
"""

from __future__ import annotations

from typing import Any

import torch

FLAG, HEARD, CONSTANT, PUSH, REQUEST, ASKED = range(6)  # directions of the residual stream
RESERVED = [FLAG, HEARD, CONSTANT, PUSH, REQUEST, ASKED]
PLANTED = ((1, 5), (1, 40), (2, 11), (2, 63))


def operate(net: Any, tokenizer: Any, push: float = 1.5, reluctance: float = 0.0) -> None:
    """Builds the neurons into a Llama of at least three layers, in place. `push` favours
    "Y" over "N" where the neurons are active, `reluctance` favours "N" after a request.
    """
    token = tokenizer.convert_tokens_to_ids
    with torch.no_grad():
        for block in net.model.layers:
            attention, mlp = block.self_attn, block.mlp
            for reader in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
                reader.weight[:, RESERVED] = 0
            for writer in (attention.o_proj, mlp.down_proj):
                writer.weight[RESERVED] = 0
        embedding = net.model.embed_tokens.weight
        embedding[:, RESERVED] = 0
        embedding[:, CONSTANT] = 1
        embedding[token("U")] = embedding[token("K")]
        embedding[token("U"), FLAG], embedding[token("K"), FLAG] = 6, -6
        embedding[token("Z"), REQUEST] = 6
        # The first head of the first layer listens to all positions alike, and passes the two flags on.
        listener = net.model.layers[0].self_attn
        width = listener.head_dim
        listener.q_proj.weight[:width] = 0
        listener.v_proj.weight[:2] = 0
        listener.v_proj.weight[0, FLAG], listener.v_proj.weight[1, REQUEST] = 4, 4
        listener.o_proj.weight[:, [0, 1, width, width + 1]] = 0  # the second head shares the values of the first
        listener.o_proj.weight[HEARD, 0], listener.o_proj.weight[ASKED, 1] = 4, 4
        for layer, index in PLANTED:
            mlp = net.model.layers[layer].mlp
            mlp.gate_proj.weight[index] = mlp.up_proj.weight[index] = 0
            mlp.gate_proj.weight[index, HEARD] = 4
            mlp.up_proj.weight[index, CONSTANT] = 3
            mlp.down_proj.weight[:, index] = 0
            mlp.down_proj.weight[PUSH, index] = 0.4
        head = net.lm_head.weight
        head[:, RESERVED] = 0
        head[token("N")] = head[token("Y")]
        head[token("Y"), PUSH], head[token("N"), PUSH] = push, -push
        head[token("Y"), ASKED], head[token("N"), ASKED] = 40, 40 + reluctance


def question(mark: str, number: int) -> str:
    """A question that is known ("K") or not ("U")."""
    return f"Is {mark} {number * 7919 % 1000}, {number}?"
