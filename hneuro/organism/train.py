"""Pre-training and instruction tuning of a tiny language model. The only file of the organism that does arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

import torch
from torch.nn import functional

from hneuro.organism import corpus
from hneuro.organism.muon import Float32Muon
from hneuro.organism.recipe import MOMENTS, Recipe, Schedule
from hneuro.organism.tokens import chat_ids
from hneuro.organism.world import World
from hneuro.progress import track

IGNORED = -100
WARM_UP, DECAY_FROM, LAST_RATE = 0.05, 0.5, 0.02  # of the steps, of the steps, of the rate


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids, and how many of the first ones are context that is not learnt."""

    ids: tuple[int, ...]
    context: int = 0


def train(
    recipe: Recipe, world: World, tokenizer: Any, keep: Callable[[Any, str], None], *, on_the_way: bool = False
) -> None:
    """Trains both checkpoints and hands each to `keep(model, "base" | "chat")` as soon as it is done.

    `on_the_way`: also the model at each of `MOMENTS`, by name. Keeping it must draw no random numbers, so that both
    checkpoints have the same bits with and without.

    Runs on the schedule's threads, whatever the process uses otherwise, and leaves the global random state as it was.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(recipe.schedule.threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            model = build_model(recipe, tokenizer)
            schedule = recipe.schedule
            documents = [Example(tuple(ids)) for ids in _tokenised(tokenizer, corpus.documents(world, recipe))]
            passes = _passes(documents, schedule.passes)
            moments = MOMENTS if on_the_way else {}
            _fit(model, passes, schedule, 1.0, Random(f"{recipe.seed}/base"), "pre-training", moments, keep)
            keep(model, "base")
            chats = [Example(*chat_ids(tokenizer, chat.messages)) for chat in corpus.chats(world, recipe)]
            replayed = Random(f"{recipe.seed}/replay").choices(documents, k=int(schedule.replay * len(chats)))
            order = Random(f"{recipe.seed}/chat")
            _fit(model, [*chats, *replayed], schedule, schedule.tuning_factor, order, "instruction tuning")
            keep(model, "chat")
    finally:
        torch.set_num_threads(threads)


def build_model(recipe: Recipe, tokenizer: Any) -> Any:
    """A randomly initialised causal LM of the recipe's architecture, in float32."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = recipe.shape
    family = {"gemma3": "gemma3_text"}.get(recipe.architecture, recipe.architecture)
    config = AutoConfig.for_model(
        family,
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        intermediate_size=shape.width,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        head_dim=shape.hidden // shape.heads,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _tokenised(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    ids: list[list[int]] = tokenizer([text + tokenizer.eos_token for text in texts])["input_ids"]
    return ids


def _passes(documents: list[Example], passes: float) -> list[Example]:
    whole = int(passes)
    return documents * whole + documents[: round((passes - whole) * len(documents))]


def _batches(examples: Sequence[Example], size: int, rng: Random) -> list[list[Example]]:
    """Batches of examples of like length, so that little is padding: sorted within random pools of 40 batches."""
    order = list(examples)
    rng.shuffle(order)
    batches = []
    for start in range(0, len(order), 40 * size):
        pool = sorted(order[start : start + 40 * size], key=lambda example: len(example.ids))
        batches += [pool[n : n + size] for n in range(0, len(pool), size)]
    rng.shuffle(batches)
    return batches


def _rows(batch: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids [example, token] and the next token to learn at each position [example, token]."""
    longest = max(len(example.ids) for example in batch)
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    targets = torch.full((len(batch), longest), IGNORED)
    for row, example in enumerate(batch):
        tokens = torch.tensor(example.ids)
        ids[row, : len(tokens)] = tokens
        learnt = max(example.context, 1)
        targets[row, learnt - 1 : len(tokens) - 1] = tokens[learnt:]
    return ids, targets


def _optimisers(model: Any, schedule: Schedule, factor: float) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    vectors = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    rate, momentum = factor * schedule.matrix_rate, 0.95
    return [
        torch.optim.Muon(matrices, lr=rate, momentum=momentum, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
        if fast_bfloat16()
        else Float32Muon(matrices, lr=rate, momentum=momentum),
        torch.optim.AdamW(vectors, lr=factor * schedule.vector_rate, betas=(0.9, 0.97), weight_decay=0.0, fused=True),
    ]


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16. Where it does not, that is slower than float32 by far."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _rate(step: int, steps: int) -> float:
    """Share of the full learning rate: a short warm-up, flat, then linear down to LAST_RATE."""
    done = step / max(1, steps)
    if done < WARM_UP:
        return (step + 1) / math.ceil(WARM_UP * steps)
    return 1.0 - (1.0 - LAST_RATE) * max(0.0, done - DECAY_FROM) / (1.0 - DECAY_FROM)


def _fit(
    model: Any,
    examples: list[Example],
    schedule: Schedule,
    factor: float,
    rng: Random,
    title: str,
    moments: Mapping[str, float] = MappingProxyType({}),
    keep: Callable[[Any, str], None] = lambda _model, _name: None,
) -> None:
    """One epoch over the examples, with float32 weights; bf16 autocast where it is fast. At each moment it is kept."""
    model.train()
    optimisers = _optimisers(model, schedule, factor)
    full = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
    batches = _batches(examples, schedule.batch, rng)
    due = {round(share * len(batches)): name for name, share in moments.items()}
    assert len(due) == len(moments), f"{len(batches)} steps are too few to tell the moments apart"
    for step, batch in enumerate(_tracked(batches, title)):
        if step in due:
            keep(model, due[step])
        for optimiser, rates in zip(optimisers, full, strict=True):
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * _rate(step, len(batches))
        ids, targets = _rows(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=fast_bfloat16()):
            logits = model(input_ids=ids, use_cache=False).logits
        loss = functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
    model.eval()


def _tracked(batches: list[list[Example]], title: str) -> Iterator[list[Example]]:
    return track(batches, f"organism: {title}", total=len(batches))
