"""The second reading of compliance: how probable a complying continuation is, without sampling any text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hneuro.models.hooks import gains, scale
from hneuro.models.load import Loaded
from hneuro.records import BenchmarkItem, UserError
from hneuro.responses.generate import Job


@dataclass(frozen=True)
class Fork:
    """Where complying and resisting continuations part: the shared tokens before, and the first tokens of each side."""

    shared: tuple[int, ...]
    comply: tuple[int, ...]
    resist: tuple[int, ...]


def fork_of(item: BenchmarkItem, tokenizer: Any) -> Fork | None:
    """The first decisive position of the item's continuations; None where it has none to compare."""
    if not item.comply or not item.resist:
        return None
    comply = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in item.comply]
    resist = [tuple(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in item.resist]
    every = [*comply, *resist]
    if not all(every):
        raise UserError(f"{item.benchmark}, item {item.id}: a continuation to compare has no tokens")
    shared = 0
    while all(len(c) > shared + 1 for c in every) and len({c[shared] for c in every}) == 1:
        shared += 1
    sides = tuple(tuple(sorted({c[shared] for c in side})) for side in (comply, resist))
    if set(sides[0]) & set(sides[1]):
        raise UserError(
            f"{item.benchmark}, item {item.id}: a complying and a resisting continuation begin with the same tokens "
            "but not all do, so no single position tells them apart"
        )
    return Fork(every[0][:shared], sides[0], sides[1])


@torch.inference_mode()
def p_comply(loaded: Loaded, pad: int, jobs: Sequence[Job], forks: Sequence[Fork]) -> list[float]:
    """P(comply) / (P(comply) + P(resist)) at the fork of each job, one forward pass for the batch."""
    sequences = [(*job.prompt_ids, *fork.shared) for job, fork in zip(jobs, forks, strict=True)]
    longest = max(len(s) for s in sequences)
    ids = torch.tensor([[pad] * (longest - len(s)) + list(s) for s in sequences], device=loaded.device)
    mask = torch.tensor([[0] * (longest - len(s)) + [1] * len(s) for s in sequences], device=loaded.device)
    amounts = gains(loaded.ffn.space, [(job.neurons, job.alpha) for job in jobs], loaded.device, loaded.dtype)
    with scale(loaded.ffn, amounts):
        logits = loaded.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp_min(0),
            use_cache=False,
            logits_to_keep=1,
        ).logits[:, -1]
    logprobs = torch.log_softmax(logits.float(), dim=-1).cpu()
    read = []
    for row, fork in enumerate(forks):
        comply = torch.logsumexp(logprobs[row, list(fork.comply)], 0)
        resist = torch.logsumexp(logprobs[row, list(fork.resist)], 0)
        read.append(float(torch.sigmoid(comply - resist)))
    return read
